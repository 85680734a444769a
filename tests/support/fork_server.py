"""A process that has loaded the program once and forks another for each time it is to run.

`tests.support.program` starts it and sends it what a process begins with: its words, folder and
variables, and as descriptors stdin, stdout, stderr and a pipe. Into that go the pid and, later, the
wait status. Loading the modules is three quarters of what a run of the program costs.
"""

from __future__ import annotations

import gc
import importlib
import io
import json
import os
import pkgutil
import runpy
import selectors
import signal
import socket
import struct
import sys
import threading
from contextlib import suppress
from typing import Any

NUMBER = struct.Struct("=i")
LOADED_LATER = ("paramiko", "jsonschema", "cryptography.x509", "typer.rich_utils", "sqlite3")
"""What the program imports inside functions, where it is installed."""


def load() -> None:
    """Imports all of the program but its start."""
    program = importlib.import_module("reconciler")
    for module in pkgutil.walk_packages(program.__path__, "reconciler."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for name in LOADED_LATER:
        with suppress(ImportError):
            importlib.import_module(name)
    # A thread or an open file would be shared with, or missing from, what is forked.
    assert threading.active_count() == 1, threading.enumerate()
    gc.collect()
    gc.freeze()


def serve(control: socket.socket) -> tuple[Any, list[int]] | None:
    """Forks for each request until nobody can ask any more. In what was forked: the request."""
    watched = selectors.DefaultSelector()
    watched.register(control, selectors.EVENT_READ)
    while True:
        for key, _ in watched.select():
            if key.data is not None:
                watched.unregister(key.fd)
                _report_end(key.fd, *key.data)
                continue
            message, descriptors, _, _ = socket.recv_fds(control, 1 << 20, 4)
            if not message:
                return None
            pid = os.fork()
            if pid == 0:
                watched.close()
                control.detach()
                return json.loads(message), descriptors
            *given, report = descriptors
            os.write(report, NUMBER.pack(pid))
            for each in given:
                os.close(each)
            watched.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, report))


def _report_end(pidfd: int, pid: int, report: int) -> None:
    """Tells the wait status before the pid can be anybody else's."""
    ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert ended is not None
    status = ended.si_status << 8 if ended.si_code == os.CLD_EXITED else ended.si_status
    with suppress(BrokenPipeError):  # who has started it has ended
        os.write(report, NUMBER.pack(status))
    os.waitpid(pid, 0)
    os.close(pidfd)
    os.close(report)


def become(request: Any, descriptors: list[int]) -> None:
    """Makes this process what it would be if it had just been started."""
    for number, descriptor in enumerate(descriptors[:3]):
        os.dup2(descriptor, number)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environ"])
    sys.argv = ["-m", *request["words"]]
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        stream = _stream(number, getattr(sys, name))
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _stream(number: int, like: Any) -> io.TextIOWrapper:
    """A standard stream, made as Python/pylifecycle.c of CPython makes it."""
    buffered = not like.write_through
    file = open(number, "wb" if number else "rb", -1 if buffered or not number else 0, closefd=False)  # noqa: SIM115
    by_line = buffered and (number == 2 or os.isatty(number))
    return io.TextIOWrapper(file, like.encoding, like.errors, "\n", by_line, like.write_through)


def main() -> None:
    """DESCRIPTOR of the socket on which requests come."""
    interrupted = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Control-C is for who asks
    load()
    request = serve(socket.socket(fileno=int(sys.argv[1])))
    if request is not None:
        become(*request)
        signal.signal(signal.SIGINT, interrupted)
        runpy.run_module(request[0]["module"], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
