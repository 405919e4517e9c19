"""The `videostr` command: one function a subcommand, heavy imports inside it."""

import argparse
import sys
from collections.abc import Sequence

from videostr import cli_data, cli_eval


def doctor(args: argparse.Namespace) -> int:
    from videostr.doctor import examine, to_text

    report = examine()
    if args.json:
        import json

        print(json.dumps(report, indent=2))
    else:
        print(to_text(report))
    return 0 if report["ok"] else 1


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="videostr", description="GRPO post-training for video language models")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    command = commands.add_parser("doctor", help="what was built, what was found, what each operator will use")
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(run=doctor)
    cli_data.add_commands(commands)
    cli_eval.add_commands(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    return args.run(args)


if __name__ == "__main__":
    sys.exit(main())
