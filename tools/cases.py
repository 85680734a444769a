"""The cases of the kinds, tests/cases/kinds/KIND.yaml, and what the program makes of them.

`python -m tools.cases` (`make cases`) writes what a new case lacks at its end, for its author to
check: what a host printed is recorded on a host of the lab, the rest is computed. CONTRIBUTING.md,
"Add a kind", has the forms of a case.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from lab import Fleet, LabHost
from lab.commands import LabError
from reconciler.fleet import probe
from reconciler.kinds import KINDS
from reconciler.model import CannotSee, Question, Ref, Resource, Seen
from reconciler.plan.planner import plan

FOLDER = Path(__file__).parent.parent / "tests" / "cases" / "kinds"
HOST = "h"
"""The host that the resources of all cases are on."""

NUL = "␀"
"""What stands for a NUL byte in the output of a case."""

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
"""When a case is read that does not say `now`."""

BOUNDARY = "0123456789abcdef"

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Ten times as fast as the one in Python, where libyaml is."""

Case = dict[str, Any]


def cases(file: Path) -> list[Case]:
    """The cases of one kind; none where it has no file."""
    return list(yaml.load_all(file.read_text(encoding="utf-8"), LOADER)) if file.exists() else []


def form(case: Mapping[str, Any]) -> str:
    """What a case is about: `plan`, `read` or `host`."""
    return "host" if "host" in case else "plan" if "seen" in case else "read"


# -- what the program makes of a case -----------------------------------------------------------


def resource(kind: str, declared: Mapping[str, Any]) -> Resource:
    """The resource that a case declares, by the names of the class's fields; a ref is `KIND NAME`."""
    hints = typing.get_type_hints(KINDS[kind])
    return KINDS[kind](host=HOST, **{name: _value(hints[name], each) for name, each in declared.items()})


def _value(hint: Any, value: Any) -> Any:
    """A value of YAML as the type that a field has."""
    of = typing.get_args(hint)
    if hint is Ref:
        return Ref(HOST, *value.split(" ", 1))
    if hint is bytes:
        return value.encode()
    if isinstance(hint, types.UnionType) and value is not None:
        return _value(next(each for each in of if each is not types.NoneType), value)
    if is_dataclass(hint) and isinstance(hint, type):
        hints = typing.get_type_hints(hint)
        return hint(**{name: _value(hints[name], each) for name, each in value.items()})
    if isinstance(value, list):
        inner = of if of and of[-1] is not Ellipsis else [of[0] if of else Any] * len(value)
        return tuple(_value(each, item) for each, item in zip(inner, value, strict=True))
    return value


def planned(kind: str, case: Mapping[str, Any]) -> Case:
    """What is to be done where the resource is as it was `seen`."""
    one = resource(kind, case["declared"])
    seen: Any = case["seen"]
    if isinstance(seen, dict) and "cannot see" in seen:
        seen = CannotSee(seen["cannot see"])
    result = plan("test", [one], {one.ref: seen}, {})
    if result.unknown:
        return {"unknown": result.unknown[one.ref]}
    if not result.actions:
        return {"settled": True}
    (action,) = result.actions
    shown: Case = {
        "verb": action.verb,
        "deltas": {each.field: [each.seen, each.want] for each in action.deltas},
    }
    if action.blocked:
        shown["refused"] = action.blocked
    return shown | {"steps": [step.command for step in action.steps]}


def asked(kind: str, case: Mapping[str, Any]) -> dict[str, str]:
    """The questions of the resource, under their labels."""
    return {label: str(each) for label, each in resource(kind, case["declared"]).ask().items()}


def read(kind: str, case: Mapping[str, Any]) -> Any:
    """The state that is made of the `output`, which is by class of question."""
    one = resource(kind, case["declared"])
    questions = one.ask()
    sections = [b"%d\n%b" % (number, each) for number, each in enumerate(printed(one, case))]
    fence = f"\n{BOUNDARY} ".encode()
    answers = probe.parse(fence.join([b"", *sections, b"end\n"]), questions.values(), BOUNDARY)
    now = case.get("now", NOW)
    return _state(one.read({label: answers[each] for label, each in questions.items()}, now))


def printed(one: Resource, case: Mapping[str, Any]) -> list[bytes]:
    """What the host printed for each class of the resource's questions, in the order in which it is asked."""
    groups = _classes(one.ask().values())
    assert set(groups) == set(case["output"]), f"{case['case']}: it asks {', '.join(groups)}"
    return [_bytes(case["output"][name]) for name in groups]


def _classes(questions: Iterable[Question]) -> list[str]:
    """The classes of questions in the order in which a host answers them."""
    return [type(group[0]).__name__ for group in probe.groups(questions)]


def _state(seen: Seen) -> Any:
    return (
        {"cannot see": seen.reason} if isinstance(seen, CannotSee) else seen if seen is None else dict(seen)
    )


def _bytes(output: str | bytes) -> bytes:
    return output if isinstance(output, bytes) else output.replace(NUL, "\0").encode()


def _readable(output: bytes) -> str | bytes:
    """Text with a sign for each NUL byte; bytes where it is no text."""
    try:
        text = output.decode("utf-8")
    except UnicodeDecodeError:
        return output
    return text.replace("\0", NUL)


# -- `make cases` -------------------------------------------------------------------------------


class _Dumper(yaml.SafeDumper):
    """Text of several lines is written as such."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


class Recorder:
    """Records on a lab host, which is started when it is first needed and bare for every case."""

    def __init__(self) -> None:
        self._fleet: Fleet | None = None
        self._bare = True

    def output(self, kind: str, case: Mapping[str, Any]) -> dict[str, str | bytes]:
        """What a bare host prints for each class of question, once the shell text `given` has made it
        so; to the account `as`, or else to root. Raises `LabError` where no host can run here."""
        host = self._host()
        if "given" in case:
            self._bare = False
            host.run(case["given"])
        questions = list(resource(kind, case["declared"]).ask().values())
        command = ["runuser", "-u", case["as"], "--", "sh", "-s"] if "as" in case else ["sh", "-s"]
        script = probe.compose(questions, BOUNDARY).encode()
        done = subprocess.run(host.enter(command), input=script, capture_output=True, timeout=60, check=True)
        # The others say as whom it was asked, and when it ended.
        sections = re.split(rf"\n{BOUNDARY} (\w+)\n".encode(), done.stdout)
        numbered = [
            body for label, body in zip(sections[1::2], sections[2::2], strict=True) if label.isdigit()
        ]
        named = zip(_classes(questions), numbered, strict=True)
        return {name: _readable(each) for name, each in named}

    def _host(self) -> LabHost:
        if self._fleet is None:
            self._fleet = Fleet.up(f"cases-{os.getpid()}", 1)
        elif not self._bare:
            self._fleet.reset()
            self._bare = True
        return self._fleet.hosts[0]

    def end(self) -> None:
        """Ends the host, where one was started."""
        if self._fleet is not None:
            self._fleet.down(orderly=False)


def missing(kind: str, case: Case, recorder: Recorder) -> Iterator[tuple[str, Any]]:
    """What a case does not say yet."""
    if form(case) == "plan" and "expected" not in case:
        yield "expected", planned(kind, case)
    if form(case) == "read":
        if "asks" not in case:
            yield "asks", asked(kind, case)
        if "output" not in case:
            case["output"] = recorder.output(kind, case)
            yield "output", case["output"]
        if "state" not in case:
            yield "state", read(kind, case)


def complete(file: Path, recorder: Recorder) -> int:
    """Appends to each case of a file what it lacks; the number of cases that lacked something.

    Every other byte stays, so that comments do.
    """
    documents = re.split(r"^---\n", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    count = 0
    for number, text in enumerate(documents):
        case = yaml.safe_load(text)
        found = dict(missing(file.stem, case, recorder)) if case else {}
        if found:
            count += 1
            more = yaml.dump(found, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
            documents[number] = f"{text.rstrip()}\n{more}"
            file.write_text("---\n".join(documents), encoding="utf-8")
            print(f"{file.stem}: {case['case']}: written, please check it")
    return count


def main() -> None:
    """Completes the files named on the command line, or all."""
    recorder = Recorder()
    try:
        files = [Path(each) for each in sys.argv[1:]] or sorted(FOLDER.glob("*.yaml"))
        if not sum(complete(file, recorder) for file in files):
            print("every case is complete")
    except LabError as error:
        sys.exit(f"cases: {error}; where no host runs, write `output` by hand")
    except yaml.YAMLError as error:
        sys.exit(f"cases: {error}")
    finally:
        recorder.end()


if __name__ == "__main__":
    main()
