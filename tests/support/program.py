"""The program as a process: started, or forked from one that has loaded it already."""

from __future__ import annotations

import atexit
import json
import os
import select
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from tests import ROOT
from tests.support.fork_server import NUMBER

CHANNELS = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}

AT_START = ("PYTHON", "COVERAGE", "LC_", "LANG", "TZ", "TERMINAL_WIDTH", "FORCE_COLOR", "PY_COLORS")
"""Variables that count when an interpreter starts or a module is loaded begin so."""


def start(
    words: Sequence[object],
    *,
    folder: Path = ROOT,
    environ: Mapping[str, str] | None = None,
    anew: bool = False,
    module: str = "reconciler",
    **channels: Any,
) -> subprocess.Popen[str]:
    """`python -m reconciler WORDS…` in a folder, with these variables besides those of the tests.

    It is forked from a process that has loaded the modules, and started `anew` where that could
    make a difference: where the folder holds another program or the variables another Python.
    """
    given = {**os.environ, **(environ or {})}
    here = folder == ROOT or not (folder / "reconciler").exists()
    same = _at_start(given) == _at_start(os.environ) and not any(
        name.startswith("COVERAGE") for name in given
    )
    kind = Forked if here and same and not anew else subprocess.Popen
    return kind(
        [sys.executable, "-m", module, *map(str, words)],
        cwd=folder, env=given, text=True, encoding="utf-8", **{**CHANNELS, **channels},
    )  # fmt: skip


def _at_start(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name.startswith(AT_START)}


class Forked(subprocess.Popen[str]):
    """A process that the fork server has forked. It is not our child, so its end is told by a pipe."""

    def _execute_child(self, args: Any, *rest: Any) -> None:
        folder, environ, pipes = rest[4], rest[5], rest[9:15]
        given = (pipes[0], pipes[3], pipes[5])
        self._end, report = os.pipe()
        theirs = [number if pipe == -1 else pipe for number, pipe in enumerate(given)]
        request = {"module": args[2], "words": args[3:], "folder": str(folder), "environ": dict(environ)}
        try:
            socket.send_fds(_server(), [json.dumps(request).encode()], [*theirs, report])
        finally:
            os.close(report)
            self._close_pipe_fds(*pipes)
        self.pid = self._number()
        self._child_created = True

    def _number(self) -> int:
        data = os.read(self._end, NUMBER.size)
        assert data, "the fork server has ended"
        return int(NUMBER.unpack(data)[0])

    def _internal_poll(self, *_: Any, **__: Any) -> int | None:
        if self.returncode is None and select.select([self._end], [], [], 0)[0]:
            self._collect()
        return self.returncode

    def _wait(self, timeout: float | None) -> int:
        if self.returncode is None:
            if not select.select([self._end], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            self._collect()
        return self.returncode

    def _collect(self) -> None:
        self.returncode = os.waitstatus_to_exitcode(self._number())
        os.close(self._end)


@cache
def _server() -> socket.socket:
    """The socket of this process's fork server, which ends with this process."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [sys.executable, "-m", "tests.support.fork_server", str(theirs.fileno())]
    server = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()])
    theirs.close()
    atexit.register(server.wait)
    atexit.register(ours.close)  # which ends it
    return ours
