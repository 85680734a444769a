"""The program itself, as a process, on scripted hosts: `python -m tests.support.scripted_program COMMAND e …`.

SCENE (JSON) says what the hosts are like: `{"hosts": {NAME: {FIELD of `Scripted`: VALUE, "look": SECONDS}},
"things": [{FIELD of `Thing`: VALUE}]}`.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reconciler import __main__ as program
from reconciler.environment.settings import Environment, Host
from reconciler.fleet.reply import Hear, NoAnswer, Reply
from reconciler.model import Ref
from tests.support.scripted import Scripted, Thing


@dataclass
class Slow(Scripted):
    """A host that thinks before it answers a look."""

    look: float = 0

    def run(self, script: str, seconds: float, hear: Hear | None = None) -> Reply:
        if hear is None:
            time.sleep(self.look)
        return super().run(script, seconds, hear)


def host(name: str, given: Mapping[str, Any]) -> Slow:
    fields = dict(given)
    if "down" in fields:
        fields["error"] = NoAnswer(name, fields.pop("down"))
    return Slow(name, **{**fields, "fails": set(fields.get("fails", ()))})


def thing(given: Mapping[str, Any]) -> Thing:
    refs = {each: tuple(Ref(*ref) for ref in given[each]) for each in ("needs", "follows") if each in given}
    return Thing(**{**given, **refs})


def main() -> None:
    """Runs the program on the scene."""
    from reconciler.cli import app
    from reconciler.cli.workplace import Workplace

    scene = json.loads(os.environ["SCENE"])
    hosts = {name: host(name, given) for name, given in scene["hosts"].items()}
    environment = Environment(
        name="e",
        router="r",
        hosts=tuple(Host(name=name, primary=not number) for number, name in enumerate(hosts)),
        blueprint=False,
        resources=tuple(map(thing, scene["things"])),
        file="e.yaml",
    )
    # As `Workplace` would be made, but for what it knows of hosts and files.
    app.Workplace = lambda: Workplace(  # type: ignore[misc, assignment]
        load=lambda env: environment, connect=lambda ssh, wanted: [hosts[each.name] for each in wanted]
    )
    program.main()


if __name__ == "__main__":
    main()
