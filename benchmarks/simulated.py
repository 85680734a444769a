"""`python -m benchmarks.simulated PORT FOLDER`: every address of this machine is a host, in one process.

It takes the key of FOLDER/authorized_keys, has that of FOLDER/host_key, and answers what was recorded: the
first script of its kind is run by a shell, all that are like it get the same reply. Each connection is a
whole SSH login, so that the side that asks does all of its work; only the hosts' own is left out.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import asyncssh

from benchmarks.replies import Replies, is_whole, shell_says


async def serve(port: int, folder: Path) -> None:
    """Answers until it is ended."""
    replies = Replies(shell_says)

    async def session(process: Any) -> None:
        text = bytearray()
        while part := await process.stdin.read(1 << 16):
            text += part
            if is_whole(bytes(text)):
                process.stdout.write(replies.answer(bytes(text)))
                text.clear()
        process.exit(0)

    server = await asyncssh.listen(
        "0.0.0.0",
        port,
        server_host_keys=[str(folder / "host_key")],
        authorized_client_keys=str(folder / "authorized_keys"),
        process_factory=session,
        encoding=None,
        backlog=1000,
    )
    await server.wait_closed()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2])))
