"""A certificate whose key is compromised: replaced first, and revoked once no host that answers serves it."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler import x509
from reconciler.kinds.certificate.compromised import FIELD, Compromised, canonical, serial
from reconciler.kinds.certificate.revocation import NOWHERE, Revocation
from reconciler.kinds.certificate.serving import Serving
from reconciler.model import CannotSee, InTransit, Plan, Ref, Seen
from reconciler.plan.planner import plan
from reconciler.plan.prospects import hopeless
from reconciler.questions.system import CommandResult
from tests.kinds.certificate.pairs import (
    ID,
    KEY,
    LINEAGE,
    NAMES,
    NOW,
    TRUST,
    WHOLE,
    commands,
    fullchain,
    public,
)
from tests.kinds.certificate.test_lineage import answers, lineage, looked
from tests.support.forged import rsa_key

LEAF = x509.chain(WHOLE)[0]
THIS = Compromised((serial(LEAF),), "key_sums")
OTHER = fullchain(rsa_key(), days=(-0.5, 89.5))
REF = Ref("a", "revocation", serial(LEAF))
SERVING = {host: Ref(host, "serving", NAMES[0]) for host in "abc"}


@pytest.mark.parametrize(
    ("text", "number"),
    [("03:ab", "03AB"), ("3AB", "03AB"), ("0003ab", "03AB"), ("ff", "FF"), ("00", "00"), ("1", "01")],
)
def test_a_number_is_the_same_however_it_is_written(text: str, number: str) -> None:
    assert canonical(text) == number


def test_a_lineage_with_such_a_number_is_ordered_anew_and_with_another_it_is_not() -> None:
    (action,) = looked(answers(WHOLE), compromised=THIS).actions
    assert {each.field: each.want for each in action.deltas} == {FIELD: False, "release": "(a new one)"}
    assert [step.command for step in action.steps] == [
        f"sh /etc/letsencrypt/renewal/certificate.sh order {ID}"
    ]
    assert looked(answers(OTHER), compromised=THIS).actions == ()


def test_a_certificate_with_the_same_key_is_one_too() -> None:
    shared = fullchain(KEY)
    assert serial(x509.chain(shared)[0]) != serial(LEAF)
    for said, orders in ((CommandResult(0, x509.public_key_sum(LEAF)), True), (CommandResult(0, ""), False)):
        made = looked(answers(shared, compromised=said), compromised=THIS)
        assert ("certificate.sh order" in commands(made)) == orders
    # Where that cannot be seen, the number alone counts.
    hidden = CannotSee("it did not end in time")
    assert looked(answers(shared, compromised=hidden), compromised=THIS).actions == ()


def test_one_that_is_in_use_is_never_taken_over() -> None:
    spare = {"spare fullchain": WHOLE, "spare public": public(WHOLE)}
    none = answers(
        None, conf=None, live=None, versions=CommandResult(2, "No such file or directory"), **spare
    )
    assert "certbot register" in commands(looked(none))
    assert "certificate.sh order none" in commands(looked(none, compromised=THIS))
    # Nor where it is newer than the lineage.
    older = answers(fullchain(rsa_key(), days=(-5, 85)), **spare)
    assert "install -m $m /spare" in commands(looked(older))
    assert looked(older, compromised=THIS).actions == ()
    # Another one that is newer comes before an order.
    newer = {"spare fullchain": OTHER, "spare public": public(OTHER)}
    taken = commands(looked(answers(WHOLE, **newer), compromised=THIS))
    assert "install -m $m /spare" in taken
    assert "order" not in taken


def served(now: str) -> Seen:
    return {"current": now, "proven": now}


NEW = x509.identity(x509.chain(OTHER))
HELD = {"revocation": "none", "certificate": "/etc/letsencrypt/archive/x/cert1.pem"}


def made(lineage_seen: Any, seen: Seen = HELD, unreachable: Any = (), **hosts: Seen) -> Plan:
    """The plan of three hosts, of which `a` is the primary; nothing is said of those that are not named."""
    one = lineage(compromised=THIS)
    state = one.read(answers(lineage_seen), NOW) if isinstance(lineage_seen, str) else lineage_seen
    switches = [
        Serving(host=host, router=NAMES[0], lineage=LINEAGE, endpoints=(), trust=TRUST) for host in "abc"
    ]
    revocation = Revocation(
        host="a",
        serial=serial(LEAF),
        script="/renewal/certificate.sh",
        record="/revoked",
        held="held",
        lineage=LINEAGE,
        serving=tuple(SERVING.values()),
        needs=(LINEAGE,),
    )
    states = {LINEAGE: state, REF: seen, **{SERVING[host]: shown for host, shown in hosts.items()}}
    return plan("e", [one, *switches, revocation], states, dict.fromkeys(unreachable, "no route"))


def waits(found: Plan) -> list[str]:
    """What the revocation waits for."""
    (action,) = (each for each in found.actions if each.ref == REF)
    return sorted(f"{ref.host} {ref.kind}" for ref in action.after)


def test_it_comes_after_the_order_and_every_switch() -> None:
    found = made(WHOLE, a=served(ID), b=served(ID), c=served(ID))
    assert waits(found) == ["a certificate", "a serving", "b serving", "c serving"]
    assert found.actions[-1].ref == REF
    assert "cannot be taken back" in found.notes[REF][0]


def test_it_waits_for_a_host_that_still_serves_it_and_for_no_other() -> None:
    assert waits(made(OTHER, a=served(NEW), b=served(ID), c=served(NEW))) == ["b serving"]
    assert waits(made(OTHER, a=served(NEW), b=served(NEW), c=served(NEW))) == []


def test_a_host_that_cannot_be_reached_holds_up_no_revocation() -> None:
    found = made(OTHER, unreachable="b", a=served(NEW), b=served(ID), c=served(NEW))
    assert waits(found) == []
    assert REF not in hopeless(found)
    assert "for none that cannot" in found.notes[REF][0]


@pytest.mark.parametrize(
    "hidden",
    [CannotSee("no openssl"), InTransit("apache is starting", 5), None],
    ids=["unseen", "starting", "--host"],
)
def test_what_a_host_that_answers_serves_has_to_be_seen(hidden: Any) -> None:
    others = {} if hidden is None else {"b": hidden}
    found = made(OTHER, a=served(NEW), c=served(NEW), **others)
    assert [each.ref for each in found.actions] == []
    assert found.unknown[REF].startswith("whether b still serves it is not known: ")


@pytest.mark.parametrize("hidden", [CannotSee("no"), InTransit("certbot may be changing it", 2)])
def test_nothing_is_revoked_while_the_lineage_cannot_be_seen(hidden: Any) -> None:
    found = made(hidden, a=served(ID), b=served(ID), c=served(ID))
    assert waits(found) == ["a certificate"]


def test_nothing_is_revoked_where_the_order_is_refused() -> None:
    limit = answers(WHOLE, limits=CommandResult(75, "5 certificates in 7 days"))
    state = lineage(compromised=THIS).read(limit, NOW)
    found = made(state, a=served(ID), b=served(ID), c=served(ID))
    assert found.actions[0].blocked == "5 certificates in 7 days"
    assert REF in hopeless(found)


def test_one_that_is_not_on_the_primary_is_refused_with_what_to_do() -> None:
    gone = {"revocation": "none", "certificate": NOWHERE}
    found = made(OTHER, gone, a=served(NEW), b=served(NEW), c=served(NEW))
    (action,) = found.actions
    assert "take the number out of `compromised`" in str(action.blocked)
    assert REF not in found.notes


def test_what_is_revoked_stays_so_whatever_else_is_seen() -> None:
    assert (
        made(OTHER, {"revocation": "revoked"}, a=served(NEW), b=CannotSee("x"), c=served(NEW)).actions == ()
    )
