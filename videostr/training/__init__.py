"""What supervised and grouped training share: prompts, data order, the loop, checkpoints, metrics."""
