"""What every recipe shares: the command line, stages that survive a kill, the summary."""

import os

# torch's OpenMP threads wait for each other in a loop. With another busy process on the same cores that loop burns the
# time that the thread waited for needs: a training step of the small model takes 20 times as long on two cores. A short
# wait takes 2.5 times, and on idle cores no longer than before. Read when torch is imported, so it comes first.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
