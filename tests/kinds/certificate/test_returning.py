"""A primary whose own certificate is older than what its peers have gets theirs, without an order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler import x509
from reconciler.kinds.certificate.arrival import Arrival
from reconciler.kinds.certificate.compromised import Compromised, serial
from reconciler.kinds.certificate.returning import BEGINS, SEALED, Returning
from reconciler.model import Action, InTransit, Plan, Ref
from reconciler.plan.planner import plan
from reconciler.questions.system import CommandResult
from tests.kinds.certificate.pairs import ID, NO_KEY, NOW, TRUST, WHOLE, fullchain, public
from tests.kinds.certificate.test_lineage import answers, lineage

OLDER = fullchain(days=(-5, 85))
OVERDUE = fullchain(days=(-75, 15))
PEERS = tuple(Ref(host, "arrival", "/in") for host in ("b", "c"))
GONE = {
    "conf": None,
    "live": None,
    "versions": CommandResult(2, "ls: cannot access 'x': No such file or directory"),
}
RETURNING = Returning(PEERS, "/in", "sync", "/k", "/h", (("b", 2222),))


def arrival(host: str, **more: Any) -> Arrival:
    given = {"lineage": lineage().ref, "peers": PEERS, **more}
    return Arrival(host=host, folder="/in", account="sync", sender="a", trust=TRUST, **given)


def staged(text: str | None, sealed: str | None = None, **more: Any) -> dict[str, Any]:
    """What a replica shows that has this staged."""
    return {
        "arrived": CommandResult(1, ""),
        "staged fullchain": text,
        "staged public": public(text) if text else NO_KEY,
        "staged parts": CommandResult(0, ""),
        "sealed": CommandResult(0, sealed) if sealed else CommandResult(1, ""),
        **more,
    }


def planned(mine: dict[str, Any], b: str | None, c: str | None, *lost: str, **more: Any) -> Plan:
    """The plan of a primary that shows this, and of two replicas that have these staged."""
    replicas = {"b": b, "c": c}
    owned = lineage(returning=RETURNING, **{name: each for name, each in more.items() if name != "arrivals"})
    arrivals = [arrival(host, **more.get("arrivals", {})) for host in replicas]
    seen = {each.ref: each.read(staged(replicas[each.host]), NOW) for each in arrivals}
    found = owned.read(mine, NOW)
    seen[owned.ref] = found.instead if isinstance(found, InTransit) else found
    return plan("e", [owned, *arrivals], seen, dict.fromkeys(lost, "gone"))


def lines(action: Action) -> list[str]:
    return [step.command for step in action.steps]


@pytest.mark.parametrize("text", [OLDER, OVERDUE], ids=["good", "overdue"])
def test_the_newest_of_a_peer_becomes_the_lineages_newest_version_without_an_order(text: str) -> None:
    seals, brings = planned(answers(text), WHOLE, WHOLE).actions
    assert (seals.ref, brings.ref.host, brings.after) == (PEERS[0], "a", (PEERS[0],))
    assert lines(seals) == [
        "sh /var/lib/reconciler/bin/release seal a",
        f"echo {ID} >/var/lib/reconciler/certificate/outgoing/a/release",
    ]
    collect, stage, add, relink = lines(brings)
    assert collect.startswith("runuser -u sync -- sh -c ")
    assert "-p 2222 -i /k sync@b collect >/in/delivery.cms" in collect
    assert stage == f"sh /var/lib/reconciler/bin/release stage {ID} /in sync b"
    assert "install -m $m /var/lib/reconciler/certificate/staged/$f.pem $f$n.pem" in add
    assert "ln -s -f -n" in relink
    assert {each.field: each.want for each in brings.deltas}["release"] == ID
    assert not brings.has_unknowns


def test_where_there_is_no_lineage_one_is_made_of_it() -> None:
    for spare in ({}, {"spare fullchain": OLDER, "spare public": public(OLDER)}):
        _, brings = planned(answers(None, **GONE, **spare), WHOLE, None).actions
        told = "\n".join(lines(brings))
        assert "certbot register" in told
        assert "/var/lib/reconciler/certificate/staged/$f.pem" in told
        assert " order " not in told
    assert brings.verb == "change"


def test_the_peer_with_the_newest_brings_it_and_one_that_cannot_be_reached_does_not() -> None:
    between = fullchain(days=(-3, 87))
    seals, brings = planned(answers(OLDER), between, WHOLE).actions
    assert (seals.ref, f"stage {ID} /in sync c" in "".join(lines(brings))) == (PEERS[1], True)
    seals, brings = planned(answers(OLDER), between, WHOLE, "c").actions
    assert seals.ref == PEERS[0]
    assert planned(answers(OLDER), None, WHOLE, "c").actions == ()


@pytest.mark.parametrize("text", [None, OLDER, OVERDUE, fullchain(names=("x.example.org",))])
def test_what_is_not_newer_or_not_good_is_not_brought(text: str | None) -> None:
    assert planned(answers(OLDER), text, text).actions == ()


def test_what_is_as_new_here_needs_nobody() -> None:
    assert planned(answers(WHOLE), WHOLE, WHOLE).actions == ()
    used = {"spare fullchain": WHOLE, "spare public": public(WHOLE)}
    (action,) = planned(answers(OLDER, **used), WHOLE, WHOLE).actions
    assert "/spare/$f.pem" in "".join(lines(action))


def test_what_is_compromised_is_not_brought_and_what_somebody_replaces_is_ordered() -> None:
    bad = Compromised((serial(x509.chain(WHOLE)[0]),), "look")
    shown = staged(WHOLE, compromised=CommandResult(0, ""))
    assert BEGINS not in arrival("b", compromised=bad).read(shown, NOW)
    assert BEGINS in arrival("b", compromised=replace(bad, serials=("00",))).read(shown, NOW)
    older = x509.identity(x509.chain(OLDER))
    *_, action = planned(answers(OLDER), WHOLE, None, replaces=older).actions
    assert lines(action)[-1].endswith(f" order {older}")
    # What is seen of it is the same, or a plan to replace it would be stale.
    before, after = (lineage(returning=RETURNING, replaces=each) for each in (None, older))
    assert before.read(answers(OLDER), NOW) == after.read(answers(OLDER), NOW)


def test_what_was_sealed_a_moment_ago_is_not_sealed_again() -> None:
    one = arrival("b")
    seen = one.read(staged(WHOLE, sealed=ID), NOW)
    assert isinstance(seen, dict)
    assert seen[SEALED] == ID
    found = lineage(returning=RETURNING).read(answers(OLDER), NOW)
    (action,) = plan(
        "e", [lineage(returning=RETURNING), one], {one.ref: seen, lineage().ref: found}, {}
    ).actions
    assert action.ref == lineage().ref
