"""The program's start. `--version` is answered before anything else is loaded."""

from __future__ import annotations

import codecs
import gc
import io
import os
import signal
import sys
import threading
import time

from reconciler import __version__

TYPE_CHECKING = False  # the module `typing` would be one more to load before Ctrl-C is ours
if TYPE_CHECKING:
    from types import FrameType
    from typing import TextIO

INTERRUPTED = 130
"""`cli.exit.Code.INTERRUPTED`, before that is loaded."""
IMPATIENT = 2.0
"""Seconds within which a second Ctrl-C is only the first one again: so long may it take to say what is
finished. After that it ends the program at once."""


def main() -> None:
    """Runs the command line and ends with one of the exit codes of the contract."""
    _open_streams()
    if sys.argv[1:] == ["--version"]:
        print(f"reconcile {__version__}")
        return
    interrupts = _Interrupts()
    if "_RECONCILE_COMPLETE" in os.environ:
        from reconciler.cli.completion import answered  # noqa: PLC0415 - a TAB waits for it

        if answered():
            return
    # Modules are not garbage: collecting while they load costs a sixth of a short command.
    gc.set_threshold(100_000)
    from reconciler.cli.app import run  # noqa: PLC0415 - it loads typer

    interrupts.is_running = True
    try:
        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        code = INTERRUPTED
    interrupts.is_running = False
    if code == INTERRUPTED:
        _leave()
    interrupts.words = b""
    sys.exit(code)


class _Interrupts:
    """Ctrl-C: while a command runs it is KeyboardInterrupt, once; before and after that, the end."""

    def __init__(self) -> None:
        self.is_running = False
        self.words = b"interrupted; no host was changed\n"
        self._at: float | None = None
        if (
            signal.getsignal(signal.SIGINT) is signal.default_int_handler
        ):  # not where it is ignored, as by nohup
            signal.signal(signal.SIGINT, self._interrupt)
            sys.unraisablehook = self._raise_again

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if not self.is_running:
            os.write(2, self.words)
            _leave()
        if self._at is None:
            self._at = now
            raise KeyboardInterrupt
        if now - self._at > IMPATIENT:
            _leave()

    def _raise_again(self, lost: sys.UnraisableHookArgs) -> None:
        """Python drops what is raised in a destructor or a callback of the garbage collector, and prints a
        traceback: there too an interrupt is one."""
        if lost.exc_type is KeyboardInterrupt:
            self._at = None
            # Not here: what is raised in this hook is dropped too.
            threading.Timer(0.01, os.kill, (os.getpid(), signal.SIGINT)).start()
        else:
            sys.__unraisablehook__(lost)


def _leave() -> None:
    """Ends at once: threads that wait for a host would hold up an orderly end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, RuntimeError):  # nobody reads it, or it was interrupted while it was written
            continue
    os._exit(INTERRUPTED)


def _open_streams() -> None:
    """A standard stream that is closed becomes /dev/null: else the next file that is opened, the journal or a
    connection, would be taken for it. What the locale cannot write is written as an escape."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        stream: TextIO | None = getattr(sys, name)
        if stream is None:
            null = os.open(os.devnull, os.O_RDWR)
            if null != number:
                os.dup2(null, number)
                os.close(null)
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115
    codecs.register_error("readable", _readable)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="readable")


def _readable(error: UnicodeError) -> tuple[str | bytes, int]:
    """What a stream cannot encode, in ASCII."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    for sign, words in (("→", "->"), ("…", "...")):
        text = text.replace(sign, words)
    return text.encode("ascii", "backslashreplace").decode(), error.end


if __name__ == "__main__":
    main()
