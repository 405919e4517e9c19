"""What every recipe shares: the command line, stages that survive a kill, the summary."""
