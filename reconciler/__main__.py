"""The program's start. `--version` is answered before anything else is loaded."""

from __future__ import annotations

import gc
import os
import sys

from reconciler import __version__


def main() -> None:
    """Runs the command line and ends with one of the exit codes of the contract."""
    if sys.argv[1:] == ["--version"]:
        print(f"reconcile {__version__}")
        return
    # Modules are not garbage: collecting while they load costs a sixth of a short command.
    gc.set_threshold(100_000)
    from reconciler.cli.app import run  # noqa: PLC0415 - it loads typer

    code = run(sys.argv[1:])
    if code == 130:
        # At once: threads that wait for a host would hold up an orderly end.
        sys.stdout.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    main()
