"""The command line of a recipe.

python recipes/NAME.py [--config FILE] [--out DIR] [--seed N] [--smoke] [--set key=value …]
"""

import argparse
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import transformers

from videostr.config import ConfigError, load_config
from videostr.data.samples import SampleError
from videostr.rollout import RolloutMismatchError
from videostr.training.processes import join_processes
from videostr.video import VideoError


@dataclass(frozen=True)
class RunArguments:
    """config: an instance of the recipe's dataclass. out: the run's directory. seed: of everything random."""

    config: Any
    out: Path
    seed: int


def run_recipe(
    description: str,
    config_class: type,
    smoke: Sequence[str],
    work: Callable[[RunArguments], None],
    argv: Sequence[str] | None = None,
    instead: Mapping[str, tuple[str, Callable[[RunArguments], None]]] | None = None,
) -> int:
    """Parse, load the configuration, call `work`; expected failures become one clear message and an exit status.

    smoke: the `--set` pairs that `--smoke` stands for; the user's own come after them and win. instead: flag ->
    (help, what is called in place of `work` where the flag is given).
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--config", type=Path, help="YAML file over the defaults (see recipes/configs)")
    parser.add_argument(
        "--out", type=Path, default=Path("out"), help="directory of this run; an interrupted one continues"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--smoke", action="store_true", help="a tiny run through every stage, to see that all works")
    parser.add_argument("--set", nargs="+", default=[], action="extend", metavar="KEY=VALUE", help="override a setting")
    for flag, (text, _) in (instead or {}).items():
        parser.add_argument(flag, action="store_true", help=text)
    arguments = parser.parse_args(argv)
    for flag, (_, other) in (instead or {}).items():
        if getattr(arguments, flag.removeprefix("--").replace("-", "_")):
            work = other
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    transformers.utils.logging.disable_progress_bar()
    logging.getLogger("accelerate.utils.other").setLevel(logging.ERROR)  # says at every save that the head is tied
    processes = join_processes()
    try:
        config = load_config(config_class, arguments.config, [*(smoke if arguments.smoke else []), *arguments.set])
        work(RunArguments(config, arguments.out, arguments.seed))
    except (ConfigError, SampleError, VideoError, RolloutMismatchError, ValueError, ImportError, OSError) as error:
        if os.environ.get("VIDEOSTR_TRACEBACK"):
            raise
        print(f"error: {error}\n(set VIDEOSTR_TRACEBACK=1 for the traceback)", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\ninterrupted; the same command continues from the last checkpoint in {arguments.out}", file=sys.stderr)
        return 130
    processes.destroy_process_group()
    return 0
