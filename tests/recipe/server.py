"""Runs the recipe's command line in forked children, so that twenty runs pay for one import of torch.

One JSON object a line on stdin, one answer a line on stdout: {"argv", "out" (prefix of the files that take the child's
output), "sabotage", "report"} -> {"status"} (negative: the signal that ended it). The parent never computes anything:
autograd's threads would not survive the fork.

sabotage: {"at": dotted name of a function, "call": n, "do": what happens at its n-th call}.
"""

import contextlib
import errno
import importlib
import json
import os
import signal
import sys
from dataclasses import replace

import torch

from videostr.recipe import base
from videostr.recipe.command import run_recipe
from videostr.recipe.grounding import TwoStageConfig, run_two_stage
from videostr.rewards import RewardSpec


def main():
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        job = json.loads(line)
        child = os.fork()
        if child == 0:
            run_job(job)
        _, status = os.waitpid(child, 0)
        print(json.dumps({"status": os.waitstatus_to_exitcode(status)}), file=answers, flush=True)


def run_job(job):
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(f"{job['out']}.{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
    status = 99
    try:
        torch.set_num_threads(1)
        reward_anything()
        if not job["report"]:
            base.write_report = lambda out: None
        if job["sabotage"]:
            sabotage(**job["sabotage"])
        status = run_recipe("test", TwoStageConfig, (), run_two_stage, job["argv"])
    except SystemExit as stop:
        status = stop.code
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def reward_anything():
    """A model this small never writes an interval: half of the task reward becomes the share of digits."""
    score = RewardSpec.__call__

    def easier(self, completions, *truth, **more):
        batch = score(self, completions, *truth, **more)
        digits = torch.tensor([sum(map(str.isdigit, text)) / (1 + len(text)) for text in completions])
        task = 0.5 * batch.terms["iou"] + 0.5 * digits
        return replace(batch, total_N=batch.total_N + task, terms=batch.terms | {"iou": task})

    RewardSpec.__call__ = easier


def sabotage(at, call, do):
    owner, name = locate(at)
    original, calls = getattr(owner, name), 0

    def sabotaged(*args, **kwargs):
        nonlocal calls
        calls += 1
        if calls != call:
            return original(*args, **kwargs)
        if do == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif do == "kill after":
            original(*args, **kwargs)
            os.kill(os.getpid(), signal.SIGKILL)
        elif do == "interrupt":
            os.kill(os.getpid(), signal.SIGINT)
        elif do == "disk full":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        elif do == "disk full after":
            original(*args, **kwargs)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        elif do == "cut row":
            log, row = args
            with log.path.open("a") as file:
                file.write(json.dumps(row)[:30])
            os.kill(os.getpid(), signal.SIGKILL)
        else:
            raise AssertionError(do)
        return original(*args, **kwargs)

    setattr(owner, name, sabotaged)


def locate(dotted):
    """ "videostr.training.loop.TrainLoop.log" -> the class TrainLoop, "log"."""
    *parts, name = dotted.split(".")
    for size in range(len(parts), 0, -1):
        with contextlib.suppress(ModuleNotFoundError):
            owner = importlib.import_module(".".join(parts[:size]))
            for part in parts[size:]:
                owner = getattr(owner, part)
            return owner, name
    raise AssertionError(dotted)


if __name__ == "__main__":
    # A shell's background job ignores Ctrl-C, and so would everything it starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    main()
