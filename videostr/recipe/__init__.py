"""What every recipe shares: the command line, stages that survive a kill, the summary."""

import os

# torch's OpenMP threads wait for each other in a loop. Where another process wants the same cores, that loop burns the
# time that the thread waited for needs, and a step takes many times as long; a short wait costs nothing on idle cores.
# Read when torch is imported, so it comes first.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
