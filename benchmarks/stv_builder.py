"""python -m benchmarks.stv_builder DIR [--drives N] [--rooms N] [--clips N]

How long `videostr data stv` takes for a large generated input, and how much memory: one line. The videos are empty
files, so that frame rates are the sets' own and reading packets is not part of it.
"""

import argparse
import resource
import shutil
import time
from pathlib import Path

import numpy as np

from benchmarks.stv_sets import write_kitti, write_scannet, write_tao
from videostr.data.stv.build import build


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="to write to; what an earlier run left in it is removed")
    parser.add_argument("--drives", type=int, default=80)
    parser.add_argument("--rooms", type=int, default=900)
    parser.add_argument("--clips", type=int, default=750)
    args = parser.parse_args()
    shutil.rmtree(args.folder / "sets", ignore_errors=True)
    shutil.rmtree(args.folder / "stv", ignore_errors=True)
    rng = np.random.default_rng(0)
    folders = {name: args.folder / "sets" / name for name in ("kitti", "scannet", "tao")}
    write_kitti(folders["kitti"], args.drives, 300, rng)
    write_scannet(folders["scannet"], args.rooms, rng)
    write_tao(folders["tao"], args.clips, rng)
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    report = build(folders, args.folder / "stv")
    seconds, peak = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    excess = ", ".join(f"{name} {100 * row['excess']:+.1f}" for name, row in report["blind"]["overall"].items())
    print(
        f"{report['written']:,} pairs of {report['candidates']:,} in {seconds:.0f} s "
        f"({report['written'] / seconds:,.0f} a second), {peak / 1024:.0f} MB at most, {before / 1024:.0f} MB before; "
        f"a guess above chance, in points: {excess}"
    )


if __name__ == "__main__":
    main()
