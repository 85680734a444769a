"""Documents: their types are checked once, when one is read; a saved plan keeps its digest."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.blueprint import resources
from reconciler.cli.app import run
from reconciler.document import NotADocument, as_json
from reconciler.environment.load import load
from reconciler.model import Observation
from reconciler.output.documents import observation, plan
from reconciler.plan import planner
from reconciler.tls import status
from tests import ROOT
from tests.support.schemas import hold

SAVED = json.loads((ROOT / "tests" / "cases" / "documents" / "plan.json").read_text(encoding="utf-8"))
"""A plan as it was saved before documents were classes."""
SEEN_FILE = ROOT / "examples" / "three-hosts.observation.json"
SEEN = json.loads(SEEN_FILE.read_text(encoding="utf-8"))
EXAMPLE = str(ROOT / "examples" / "three-hosts.yaml")


def signed(document: dict[str, Any]) -> dict[str, Any]:
    """With the right digest for whatever is in it."""
    return {**document, "digest": plan.digest_of(document)}


def changed(document: dict[str, Any], path: list[Any], value: Any) -> dict[str, Any]:
    """A copy with another value at a place; without the field where that is `...`."""
    document = copy.deepcopy(document)
    node: Any = document
    for part in path[:-1]:
        node = node[part]
    if value is ...:
        del node[path[-1]]
    else:
        node[path[-1]] = value
    return document


def places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of everything in a document."""
    pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, each in pairs:
        yield (*path, key)
        yield from places(each, (*path, key))


def test_a_plan_saved_before_is_read_and_written_as_it_was() -> None:
    document = plan.read_plan(SAVED)
    assert as_json(document) == SAVED
    assert list(as_json(document)) == list(SAVED)
    assert signed(SAVED) == SAVED
    made = plan.plan_from(document)
    assert [str(each.ref) for each in made.actions] == [
        " ".join(each[name] for name in ("host", "kind", "name")) for each in SAVED["actions"]
    ]


def test_a_saved_plan_keeps_its_notes(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    where = {name: SAVED["actions"][0][name] for name in ("host", "kind", "name")}
    noted = {**SAVED, "notes": [{**where, "notes": ["the CAA records of the DNS do not bind this account"]}]}
    file = tmp_path / "p.json"
    file.write_text(json.dumps(signed(noted)))
    for more in ([], ["--markdown"]):
        assert run(["show", str(file), *more]) == 0
        assert "note: the CAA records of the DNS do not bind this account\n" in capsys.readouterr().out
    made = plan.plan_from(plan.read_plan(signed(noted)))
    parts = plan.policy_part(load(EXAMPLE).policy, None)
    origin = plan.Origin(file="f", file_digest="d", sources={}, policy=parts, commit=None)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    scope: dict[str, list[str]] = {"host": [], "only": [], "replace": [], "rollback": []}
    again = plan.plan_document(made, origin, made=now, expires=now, scope=scope, salt="0" * 32)
    assert as_json(again)["notes"] == noted["notes"]
    hold(as_json(again), "plan")


def test_an_observation_is_read_and_written_as_it_was() -> None:
    document = observation.read_observation(SEEN)
    assert as_json(document) == SEEN
    again = observation.observation_document(
        document.environment,
        observation.observation_from(document),
        file=document.file,
        looked=document.moment,
    )
    assert as_json(again) == SEEN


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (["actions", 1, "host"], 5, "actions[1].host: expected text, found 5"),
        (["actions", 0, "verb"], "explode", 'actions[0].verb: expected one of change, create, reload, remove, restart, found "explode"'),
        (["actions", 0, "place"], "nowhere", 'actions[0].place: expected text that matches :[0-9]{1,9}:[0-9]{1,9}$, found "nowhere"'),
        (["actions", 0, "deltas", 0, "seen"], [1], "actions[0].deltas[0].seen: expected true or false or a whole number or text or null, found a list"),
        (["actions", 0, "steps"], ..., "actions[0].steps: is missing"),
        (["actions", 0, "colour"], "red", "actions[0].colour: no such field is known"),
        (["actions"], 5, "actions: expected a list, found 5"),
        (["file"], ..., "file: is missing"),
        (["expires"], "2026-01-31T12:00:00", 'expires: expected a time with its zone (2026-01-31T12:00:00Z), found "2026-01-31T12:00:00"'),
        (["expires"], "soon", 'expires: expected a time with its zone (2026-01-31T12:00:00Z), found "soon"'),
        (["scope", "rollback"], ["last"], 'scope.rollback[0]: expected text that matches ^[0-9]{1,18}$, found "last"'),
        (["scope"], {"document": "plan"}, "scope.document: no such field is known"),
        (["host_digests", "h"], 1.5, "host_digests.h: expected text, found 1.5"),
        (["resources"], "many", 'resources: expected a whole number, found "many"'),
        (["\udcff"], 1, "one of its fields has a name that is not UTF-8"),
    ],
)  # fmt: skip
def test_a_plan_with_a_right_digest_and_a_wrong_value(
    path: list[Any], value: Any, said: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(signed(changed(SAVED, path, value))))
    for command in ("show", "apply", "approve"):
        assert run([command, str(file)]) == 64
        assert capsys.readouterr().err == f"{file}: {said}\n"


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (["hosts", 1, "resources", 2, "state", "mode"], [5], "hosts.{host}.resources[2].state.mode: expected true or false or a whole number or text or null, found a list"),
        (["hosts", 1, "resources", 2, "state"], ..., "hosts.{host}.resources[2]: expected either `state` or `unknown`"),
        (["hosts", 1, "unreachable"], "down", "hosts.{host}: expected either `resources` or `unreachable`"),
        (["hosts", 1], None, "hosts.{host}: expected an object, found null"),
        (["looked"], "2026-01-31T12:00:00", 'looked: expected a time with its zone (2026-01-31T12:00:00Z), found "2026-01-31T12:00:00"'),
    ],
)  # fmt: skip
def test_an_observation_with_a_wrong_value(
    path: list[Any], value: Any, said: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    file, host = tmp_path / "seen.json", list(SEEN["hosts"])[1]
    file.write_text(json.dumps(changed(SEEN, [host if part == 1 else part for part in path], value)))
    assert run(["plan", EXAMPLE, "--seen", str(file)]) == 64
    assert capsys.readouterr().err == f"{file}: {said.format(host=host)}\n"


ODD = [None, True, -1, 1.5, "", "odd", "\udcff", "2026-01-31", [], ["x"], {}, {"x": 1}, 10**30]


@given(st.sampled_from(list(places(SAVED))), st.sampled_from(ODD))
def test_whatever_is_in_a_plan_it_is_read_or_refused(path: tuple[Any, ...], value: Any) -> None:
    try:
        document = plan.read_plan(signed(changed(SAVED, list(path), value)))
    except NotADocument:
        return
    plan.plan_from(document)
    hold(as_json(document), "plan")


@given(st.sampled_from(list(places(SEEN))), st.sampled_from(ODD))
def test_whatever_is_in_an_observation_it_is_read_or_refused(path: tuple[Any, ...], value: Any) -> None:
    try:
        document = observation.read_observation(changed(SEEN, list(path), value))
    except NotADocument:
        return
    observation.observation_from(document)
    hold(as_json(document), "observation")


def test_whatever_a_saved_state_holds_its_resource_is_planned_or_cannot_be_judged() -> None:
    environment = load(EXAMPLE)
    wanted = resources(environment)
    seen = observation.observation_from(observation.read_observation(SEEN)).seen
    first = {ref.kind: ref for ref in reversed(seen) if seen[ref]}  # one of each kind: they are many
    for ref in first.values():
        state = seen[ref]
        assert isinstance(state, dict), ref
        odd: list[Any] = [{}, *({k: v for k, v in state.items() if k != name} for name in state)]
        odd += [
            {**state, name: value} for name in state for value in (None, True, -1, "", "odd", "9999-99-99")
        ]
        for each in odd:
            made = planner.plan(environment.name, wanted, {**seen, ref: each}, {})
            assert all("lacks the field" in why for why in made.unknown.values())
            status.from_observation(environment, Observation({**seen, ref: each}))
