"""Runs `videostr eval` in forked children, so that many runs, some killed, pay for one import of torch.

One JSON object a line on stdin: {"argv", "out" (file for the children's output), "processes", "kill": null or
{"call": n, "lines": k}}: at the n-th batch of a process's answers k lines and a half are written, then SIGKILL. Answer:
{"status": of each child, "written": ids of the lines that were on the disk and whole}.
"""

import json
import os
import signal
import socket
import sys

import torch
import transformers  # noqa: F401

from videostr import cli
from videostr.eval import run  # noqa: F401
from videostr.eval.results import AnswerLog, _line
from videostr.report import evaluation


def main():
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        job = json.loads(line)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        children = [start(job, rank, port) for rank in range(job["processes"])]
        statuses = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        print(json.dumps({"status": statuses}), file=answers, flush=True)


def start(job, rank, port):
    child = os.fork()
    if child:
        return child
    status = 99
    try:
        told = os.open(f"{job['out']}.{rank}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
        for descriptor in (1, 2):
            os.dup2(told, descriptor)
        if job["processes"] > 1:
            os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(job["processes"])}
            os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        torch.set_num_threads(1)
        evaluation.write_evaluation_page = lambda out: out  # tested elsewhere; takes longest
        if job["kill"]:
            kill_at(**job["kill"])
        status = cli.main(job["argv"])
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def kill_at(call, lines):
    add, calls = AnswerLog.add, 0

    def killed(self, rows):
        nonlocal calls
        calls += 1
        if calls < call:
            return add(self, rows)
        add(self, rows[:lines])
        with self.path.open("a") as file:
            file.write(_line(rows[-1])[:20])
        os.kill(os.getpid(), signal.SIGKILL)

    AnswerLog.add = killed


if __name__ == "__main__":
    main()
