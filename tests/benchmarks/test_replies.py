"""Simulated hosts: what was recorded of one is what every host that is asked the same seems to say."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.replies import Replies, is_whole, shell_says
from reconciler.environment.settings import Host, Ssh
from reconciler.fleet.fleet import Fleet
from reconciler.fleet.host import RemoteHost
from reconciler.kinds.file import File


class Channel:
    """paramiko's channel to a simulated host."""

    def __init__(self, replies: Replies) -> None:
        self._replies = replies
        self._text, self._said = b"", b""

    def exec_command(self, command: str) -> None: ...

    def settimeout(self, seconds: float) -> None: ...

    def sendall(self, data: bytes) -> None:
        for line in data.splitlines(keepends=True):
            assert not is_whole(self._text), "there is more to come"
            self._text += line
        self._said += self._replies.answer(self._text)
        self._text = b""

    def recv(self, size: int) -> bytes:
        part, self._said = self._said[:size], self._said[size:]
        return part


class Factory:
    """The connections to hosts that are all simulated."""

    ssh = Ssh(user="root")
    routes = SimpleNamespace(of=lambda host: SimpleNamespace(user="root"))

    def __init__(self, replies: Replies) -> None:
        self._replies = replies

    def connect(self, host: Host) -> Any:
        transport = SimpleNamespace(
            open_session=lambda **_: Channel(self._replies),
            sock=SimpleNamespace(shutdown=lambda how: None),
        )
        return SimpleNamespace(get_transport=lambda: transport, close=lambda: None)


def look(replies: Replies, path: Path, hosts: int) -> list[Any]:
    names = [f"host-{number}" for number in range(hosts)]
    files = [File(host=name, path=str(path), content="some\n") for name in names]
    remote = [RemoteHost(Host(name=name), Factory(replies)) for name in names]  # type: ignore[arg-type]
    with Fleet("test", files, remote, parallel=1) as fleet:
        seen = fleet.look()
    assert not seen.unreachable
    return [seen.seen[file.ref] for file in files]


def test_all_hosts_answer_what_one_has_answered(tmp_path: Path) -> None:
    asked: list[bytes] = []
    (tmp_path / "file").write_text("some\n", encoding="ascii")

    def once(text: bytes) -> bytes:
        asked.append(text)
        return shell_says(text)

    states = look(Replies(once), tmp_path / "file", 5)
    assert [state["content"] for state in states] == [states[0]["content"]] * 5
    assert states[0]["mode"] == f"{(tmp_path / 'file').stat().st_mode & 0o7777:04o}"
    assert len(asked) == 1


def test_another_question_is_not_answered_by_what_was_recorded(tmp_path: Path) -> None:
    replies = Replies(shell_says)
    (tmp_path / "file").write_text("some\n", encoding="ascii")
    assert look(replies, tmp_path / "file", 1) != look(replies, tmp_path / "other", 1) == [None]


def test_hosts_that_are_all_asked_something_else_are_not_simulated(tmp_path: Path) -> None:
    replies = Replies(shell_says, most=1)
    look(replies, tmp_path / "file", 1)
    with pytest.raises(LookupError, match="more than 1"):
        look(replies, tmp_path / "other", 1)
