"""The program's start. `--version` is answered before anything else is loaded."""

from __future__ import annotations

import sys

from reconciler import __version__


def main() -> None:
    """Runs the command line and ends with one of the exit codes of the contract."""
    if sys.argv[1:] == ["--version"]:
        print(f"reconcile {__version__}")
        return
    from reconciler.cli import run  # noqa: PLC0415 - it loads all the rest

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
