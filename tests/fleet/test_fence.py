"""The number of a task on a host only grows: on a real shell, with a folder in place of the host's store."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reconciler.fleet.fence import Fence, Outdated
from reconciler.fleet.reply import Refused
from reconciler.questions.runs import STORE
from tests.support.local import LocalHost

ONE, OTHER = "1" * 32, "2" * 32


@pytest.fixture
def store(tmp_path: Path) -> Path:
    (folder := tmp_path / "store").mkdir(mode=0o755)
    return folder


def take(store: Path, epoch: int, number: int, task: str = ONE) -> None:
    fence = Fence("stage", task, epoch, number)
    script = fence.script().replace(STORE, str(store)).replace("-user 0", f"-user {os.getuid()}")
    fence.check("h", LocalHost().run(script, 10))


@pytest.mark.parametrize(
    ("then", "now", "passes"),
    [
        ((5, 7, ONE), (5, 8, OTHER), True),
        ((5, 7, ONE), (5, 7, ONE), True),  # delivered again
        ((5, 7, ONE), (5, 7, OTHER), False),  # a server that has lost messages gives numbers twice
        ((5, 7, ONE), (5, 6, OTHER), False),
        ((5, 7, ONE), (5, 6, ONE), False),
        ((5, 7, ONE), (6, 1, OTHER), True),  # the stream was made anew
        ((6, 1, ONE), (5, 7, OTHER), False),
        ((5, 9, ONE), (5, 10, OTHER), True),
        ((1_790_000_000, 4_000_000_000, ONE), (1_790_000_000, 4_000_000_001, OTHER), True),
    ],
)
def test_an_older_number_does_not_pass(
    then: tuple[int, int, str], now: tuple[int, int, str], passes: bool, store: Path
) -> None:
    take(store, *then)
    if passes:
        take(store, *now)
    else:
        with pytest.raises(
            Outdated, match=rf"h: task {now[0]}\.{now[1]} is older than .*, {then[0]}\.{then[1]}$"
        ):
            take(store, *now)
    left = (store / "tasks" / "stage").read_text().split()
    assert left == list(map(str, now if passes else then))


@pytest.mark.parametrize(
    "spoil",
    [
        "echo no number >{f}",
        "chmod 666 {f}",
        "rm {f}; ln -s /etc/passwd {f}",
        "rm {f}; mkdir {f}",
        ": >{f}",
        "chmod 777 {d}",
    ],
)
def test_what_is_not_roots_number_refuses(spoil: str, store: Path) -> None:
    take(store, 1, 1)
    folder = store / "tasks"
    os.system(spoil.format(f=folder / "stage", d=folder))
    with pytest.raises(
        Refused, match="the number of the task could not be written to /var/lib/reconciler/tasks"
    ):
        take(store, 1, 2)


def test_a_host_that_lacks_the_room_says_so(store: Path) -> None:
    (store / "tasks").write_text("in the way")
    with pytest.raises(Refused, match=r"File exists|Not a directory"):
        take(store, 1, 1)
