"""Every door by which bytes of somebody else's come in, each as a function that raises for a bug alone.

`python -m tests.fuzz` tries them with inputs that a coverage-guided fuzzer makes up; `test_doors.py` with those
that are known: what hosts have printed, and what was found by fuzzing (`found/DOOR/`).
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from reconciler import blueprint, x509
from reconciler.discovery.survey import Survey
from reconciler.document import NotADocument
from reconciler.environment.form import formatted
from reconciler.environment.load import InvalidEnvironment, check_whole, load
from reconciler.fleet import probe, script
from reconciler.journal import chain
from reconciler.kinds import KINDS
from reconciler.model import Action, CannotSee, Ref, Resource, Step
from reconciler.monitor import notices
from reconciler.output.documents.observation import read_observation
from reconciler.output.documents.plan import Tampered, read_plan
from reconciler.plan.planner import plan
from tests import CASES, ROOT
from tools import cases

Door = Callable[[bytes], None]
NOW = datetime(2026, 11, 23, tzinfo=UTC)
BOUNDARY = "boundary"
FOUND = Path(__file__).parent / "found"


def environment(data: bytes) -> None:
    """An environment file, up to the resources that it comes to."""
    with suppress(InvalidEnvironment):
        made = load("e.yaml", data)
        check_whole(made, blueprint.resources(made))
    with suppress(UnicodeDecodeError):
        formatted("e.yaml", data.decode())


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def saved_plan(data: bytes) -> None:
    """A saved plan, with the digest that it has and with the right one."""
    with suppress(NotADocument, Tampered):
        read_plan(_json(data))


def observation(data: bytes) -> None:
    """A saved observation."""
    with suppress(NotADocument):
        read_observation(_json(data))


def journal(data: bytes) -> None:
    """The body of an entry of the journal."""
    with suppress(ValueError, TypeError):
        chain.parsed(data.decode("utf-8", "surrogateescape"))


def notice(data: bytes) -> None:
    """A notice that waits in the journal to be sent."""
    with suppress(ValueError):
        notices.from_json(data.decode("utf-8", "surrogateescape"))


def certificates(data: bytes) -> None:
    """Certificates, as PEM or as a handshake sends them."""
    for made in (x509.chain, lambda each: x509.chain_der([each])):
        try:
            found = made(data)
        except ValueError:
            continue
        x509.why_not_trusted(found, b"", "cn.example.org", NOW)
        if found:
            leaf = found[0]
            x509.identity(found), x509.names(leaf), x509.key_type(leaf), x509.window(leaf), x509.ari_id(leaf)
            x509.serial_hex(leaf), x509.issuer(leaf), x509.public_key_pem(leaf)


ACTIONS = [Action(Ref("h", "thing", name), "change", (), (Step("true", "because"),) * 2) for name in "ab"]


def outcomes(data: bytes) -> None:
    """A host's reply to actions."""
    for ended in (True, False):
        script.outcomes(ACTIONS, data, BOUNDARY, ended, "lost")


def reply(data: bytes) -> None:
    """A host's whole reply to a look."""
    probe.parse(data, _questions(), BOUNDARY)
    probe.parse_each(data, _questions(), BOUNDARY, 1)


@functools.cache
def _questions() -> list[Any]:
    return [
        *Survey(host="h").ask().values(),
        *(q for one, *_ in _kind("service") for q in one.ask().values()),
    ]


def survey(data: bytes) -> None:
    """What a host prints when it is imported: the sections of a reply, a NUL byte between them."""
    one = Survey(host="h", router="cn.example.org")
    _read(one, data.split(b"\xff"))


def _read(one: Resource, sections: list[bytes], now: datetime = NOW) -> None:
    """Reads what a host printed for each class of questions, and plans with that."""
    fence, questions = f"\n{BOUNDARY} ".encode(), one.ask()
    bodies = [b"%d\n%b" % (number, each) for number, each in enumerate(sections)]
    answers = probe.parse(fence.join([b"", *bodies, b"end\n"]), questions.values(), BOUNDARY)
    try:
        seen = one.read({label: answers[each] for label, each in questions.items()}, now)
    except probe.NONSENSE:  # as a look takes it
        return
    assert seen is None or isinstance(seen, (CannotSee, Mapping))
    if isinstance(one, Survey):
        return
    plan("e", [one], {one.ref: seen}, {})


@functools.cache
def _kind(kind: str) -> list[tuple[Resource, list[bytes], datetime]]:
    """The cases of a kind in which a host has answered: the resource, what was printed, and when."""
    found = []
    for case in cases.cases(CASES / "kinds" / f"{kind}.yaml"):
        if cases.form(case) == "read" and case["output"]:
            one = cases.resource(kind, case["declared"])
            found.append((one, cases.printed(one, case), case.get("now", NOW)))
    return found


def _of_kind(kind: str, data: bytes) -> None:
    """What a host prints for one class of a resource's questions: the first two bytes say of which case, and
    for which class; for the others it is what was recorded."""
    known = _kind(kind)
    if len(data) < 2:
        return
    one, sections, now = known[data[0] % len(known)]
    at = data[1] % len(sections)
    _read(one, [*sections[:at], data[2:], *sections[at + 1 :]], now)


DOORS: Mapping[str, Door] = {
    **{
        each.__name__: each
        for each in (
            environment, saved_plan, observation, journal, notice, certificates, outcomes, reply, survey,
        )
    },
    **{f"kind-{kind}": functools.partial(_of_kind, kind) for kind in KINDS if _kind(kind)},
}  # fmt: skip
"""The doors, by name."""


def known(door: str) -> Iterator[bytes]:
    """Inputs to begin with: what is right, and what was found."""
    kind = door.removeprefix("kind-")
    if kind != door:
        for number, (_, sections, _) in enumerate(_kind(kind)):
            yield from (bytes([number, at]) + each for at, each in enumerate(sections))
    files = {
        "environment": [*(ROOT / "environments").rglob("*.yaml"), *(CASES / "environment").glob("*.yaml")],
        "saved_plan": [CASES / "documents" / "plan.json"],
        "observation": [ROOT / "examples" / "three-hosts.observation.json"],
    }
    for file in (*files.get(door, ()), *(FOUND / door).glob("*")):
        yield file.read_bytes()
