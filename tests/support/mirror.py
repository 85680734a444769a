"""A process that says what it is: the test of `tests.support.program` runs it both ways."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time

STREAMS = (sys.stdin, sys.stdout, sys.stderr)


def main() -> None:
    """Prints it, says on stderr that it is there, and ends as its first word says."""
    end = sys.argv[1]
    seen = {
        "name": __name__,
        "argv": sys.argv,
        "folder": os.getcwd(),
        "environ": dict(os.environ),
        "group": os.getpgrp(),
        "session": os.getsid(0),
        "open": sorted(int(each) for each in os.listdir("/proc/self/fd")),
        "streams": [[s.encoding, s.errors, s.line_buffering, s.isatty(), s.fileno()] for s in STREAMS],
        "signals": {
            name: str(signal.getsignal(name)) for name in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE)
        },
        "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        "threads": threading.active_count(),
        "read": sys.stdin.read() if end == "read" else "",
        "path": sys.path[0],
        "mask": os.umask(0o022),
    }
    print(json.dumps(seen), flush=True)
    print("it is there", file=sys.stderr, flush=True)
    if end == "fails":
        raise ValueError("a mistake")
    if end == "waits":
        time.sleep(60)
    sys.exit(int(end) if end.isdigit() else 0)


if __name__ == "__main__":
    main()
