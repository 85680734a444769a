"""The program itself, as a process, at a site and elsewhere: `python -m tests.support.site_program COMMAND e …`.

Hosts are this machine's shell with a folder each, and a lock. FOLDER names the place of all of it: `site.json` there
says what the site is like (`{"gateway": …}`, `{"servers": […]}`), `log` is told of every step, and while `hold` is
there, steps wait. Without RECONCILE_SITE no host can be reached: that is the controlling machine.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from reconciler import __main__ as program
from reconciler.environment.rules import Policy
from reconciler.environment.settings import Environment, Host, Nats, SiteSettings
from reconciler.fleet.reply import Hear, Locked, Reply
from reconciler.model import Change, Question, Step
from reconciler.questions.runs import STORE
from tests.support.local import LocalHost
from tests.support.scripted import Ask, Thing

HOSTS = ("b", "c")


@dataclass(frozen=True)
class AskFile(Ask):
    """Asks for what is in a file."""

    @classmethod
    def script(cls, questions: list[Ask]) -> str:
        return "\n".join(f"cat {each.name} 2>/dev/null || echo absent" for each in questions)


@dataclass(frozen=True, kw_only=True)
class Mark(Thing):
    """A file with a value. That it is written is told to the log, before and after."""

    folder_of: ClassVar[Path]

    def ask(self) -> Mapping[str, Question]:
        return {"value": AskFile(str(self.file))}

    @property
    def file(self) -> Path:
        return self.folder_of / f"{self.host}-{self.label.strip('/')}"

    def steps(self, change: Change) -> Iterable[Step]:
        where = self.folder_of
        yield Step(f"echo begin {self.host} {self.label} >>{where}/log", "tells of it")
        yield Step(f"while [ -e {where}/hold ]; do sleep 0.02; done", "waits", minutes=2)
        yield Step(f"echo {self.value} >{self.file}", "settles it")
        yield Step(f"echo end {self.host} {self.label} >>{where}/log", "tells of it")


class SiteHost(LocalHost):
    """This machine, with a lock and a store of its own."""

    def __init__(self, name: str, folder: Path) -> None:
        super().__init__(name=name)
        self.folder, self.held = folder, -1

    def run(self, script: str, seconds: float, hear: Hear | None = None) -> Reply:
        store = self.folder / f"store-{self.name}"
        store.mkdir(mode=0o755, exist_ok=True)
        return super().run(script.replace(STORE, str(store)), seconds, hear)

    def lock(self, who: str) -> None:
        self.held = os.open(self.folder / f"lock-{self.name}", os.O_CREAT | os.O_RDWR)
        try:
            fcntl.flock(self.held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.close()
            raise Locked(self.name, "another process") from None

    def close(self) -> None:
        if self.held >= 0:
            os.close(self.held)
        self.held = -1


def environment(folder: Path) -> Environment:
    """The hosts of the site, each with two marks, the second after the first."""
    given = json.loads((folder / "site.json").read_text(encoding="utf-8"))
    gateway = given.get("gateway")
    hosts = tuple(Host(name=name, primary=name == "b", site="s") for name in HOSTS)
    text = (folder / "e.yaml").read_bytes()
    return Environment(
        name="e",
        router="r",
        hosts=hosts,
        sites={
            "s": SiteSettings(
                gateway=gateway and "gw", file=gateway and "e", command=gateway or "reconcile", plans="plans"
            )
        },
        nats=Nats(servers=tuple(given["servers"])) if "servers" in given else None,
        blueprint=False,
        policy=Policy(
            **{"approvers": 1, "author_may_approve": True, **given.get("policy", {})},
            allowed_signers=str(folder / "signers"),
        ),
        resources=tuple(
            Mark(host=host.name, label=label, folder="/x" if label == "/y" else None)
            for host in hosts
            for label in ("/x", "/y")
        ),
        file=str(folder / "e.yaml"),
        text=text,
        digest=hashlib.sha256(text).hexdigest(),
    )


def main() -> None:
    """Runs the program there."""
    from reconciler.cli import app
    from reconciler.cli.workplace import Workplace

    folder = Path(os.environ["FOLDER"])
    Mark.folder_of = folder

    def connect(ssh: Any, wanted: Iterable[Host]) -> list[Any]:
        names = [each.name for each in wanted]
        assert names in ([], ["gw"]) or os.environ.get("RECONCILE_SITE") == "s", "reached from elsewhere"
        return [LocalHost(name="gw") if name == "gw" else SiteHost(name, folder) for name in names]

    if "worker" in sys.argv and "--task" not in sys.argv:
        from reconciler.fleet import stream

        stream.ACK_WAIT, stream.AGAIN = 2.0, 0.3
    app.Workplace = lambda: Workplace(load=lambda env: environment(folder), connect=connect)  # type: ignore[misc, assignment]
    program.main()


if __name__ == "__main__":
    main()
