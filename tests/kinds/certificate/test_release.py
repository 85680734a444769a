"""The kinds `release`, `arrival` and `delivery`."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.kinds.certificate import pair
from reconciler.kinds.certificate.arrival import Arrival
from reconciler.kinds.certificate.release import KEY_FILE, Current, Delivery, Release
from reconciler.model import CannotSee, Plan, Ref
from reconciler.questions.files import FileEntry
from reconciler.questions.system import CommandResult
from tests.kinds.certificate.pairs import (
    ID,
    LINEAGE,
    NAMES,
    NOW,
    TRUST,
    WHOLE,
    commands,
    fullchain,
    planned,
    public,
)


def release(**more: Any) -> Release:
    return Release(
        host="b",
        router=NAMES[0],
        lineage=LINEAGE,
        trust=TRUST,
        users=("postgres",),
        source="/in",
        account="sync",
        **more,
    )


def staged(**more: Any) -> dict[str, Any]:
    return {
        "fullchain": WHOLE,
        "public": public(WHOLE),
        "key": FileEntry("f", "0640", "root", "ssl-cert", 1700, ""),
        "acl": {"user:": "rw-", "group:": "r--", "other:": "---"},
        "parts": CommandResult(0, ""),
        "readable by postgres": CommandResult(0, ""),
        **more,
    }


def of_release(shown: dict[str, Any], wanted: str = ID) -> Plan:
    resource = release()
    return planned(resource, resource.read(shown, NOW), lineage={LINEAGE: {"release": wanted}})


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"key": FileEntry("f", "0644", "root", "ssl-cert", 1, "")}, "key file"),
        ({"key": FileEntry("f", "0640", "postgres", "ssl-cert", 1, "")}, "key file"),
        ({"key": None}, "key file"),
        ({"acl": {"user:": "rw-", "user:daemon": "r--"}}, "key file"),
        ({"readable by postgres": CommandResult(0, pair.NOT)}, "readable by postgres"),
        ({"parts": CommandResult(1, "cmp: EOF")}, "parts"),
        ({"public": CommandResult(1, "unable to load key")}, "pair"),
        ({"fullchain": fullchain(names=NAMES[:1])}, "names"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_a_release_is_staged_again_where_anything_is_wrong(more: dict[str, Any], field: str) -> None:
    (action,) = of_release(staged(**more)).actions
    assert field in {delta.field for delta in action.deltas}
    assert action.steps[0].command.startswith(f"sh /var/lib/reconciler/bin/release stage {ID} ")


def test_a_release_in_order_is_left_alone_and_an_older_one_is_not() -> None:
    assert of_release(staged()).actions == ()
    assert of_release(staged(), "another").actions[0].deltas[0].field == "release"
    resource = release()
    nobody_knows = planned(resource, resource.read(staged(), NOW), lineage={LINEAGE: CannotSee("away")})
    assert nobody_knows.actions == ()
    assert resource.read(staged(fullchain=None), NOW) is None
    unprivileged = staged(
        **{"readable by postgres": CommandResult(1, "runuser: may not be used by non-root users")}
    )
    assert isinstance(resource.read(unprivileged, NOW), CannotSee)


def test_a_delivery_is_due_until_it_has_arrived_over_there() -> None:
    arrival = Arrival(host="b", folder="/in", account="sync", sender="a", trust=TRUST)
    delivery = Delivery(
        host="a",
        peer="b",
        lineage=LINEAGE,
        arrival=arrival.ref,
        account="sync",
        identity="/k",
        known_hosts="/h",
        port=22,
    )

    def due(shown: dict[str, Any]) -> bool:
        states = {LINEAGE: {"release": ID}, arrival.ref: arrival.read(shown, NOW)}
        return bool(planned(delivery, delivery.read({}, NOW), states=states).actions)

    nothing = {
        "arrived": CommandResult(1, ""),
        "staged fullchain": None,
        "staged public": CommandResult(1, ""),
        "staged parts": CommandResult(1, ""),
        "sealed": CommandResult(1, ""),
    }
    assert due(nothing)
    assert due({**nothing, "arrived": CommandResult(1, WHOLE)}), "it has no key"
    assert not due({**nothing, "arrived": CommandResult(0, f"{WHOLE}{public(WHOLE).output}")})
    there = {**nothing, "staged fullchain": WHOLE, "staged public": public(WHOLE)}
    assert due(there), "cert.pem and chain.pem are not what fullchain.pem is"
    assert not due({**there, "staged parts": CommandResult(0, "")})


def test_permissions_alone_need_no_delivery() -> None:
    (action,) = of_release(staged(key=FileEntry("f", "0644", "root", "ssl-cert", 1, ""))).actions
    assert action.steps[0].command.endswith(f"stage {ID} /var/lib/reconciler/certificate/staged")
    (action,) = of_release(staged(parts=CommandResult(1, ""))).actions
    assert action.steps[0].command.endswith(f"stage {ID} /in sync")


@pytest.mark.parametrize(
    ("seen", "waits"),
    [
        ({"pair": "matches", "key file": KEY_FILE}, False),
        ({"pair": "there is no usable key", "key file": KEY_FILE}, True),
        ({"pair": "matches", "key file": "root:root 0600"}, True),
        (None, True),
        (CannotSee("why"), True),
    ],
)
def test_a_broken_link_waits_for_a_release_only_where_none_is_staged(seen: Any, waits: bool) -> None:
    ref = Ref("b", "release", NAMES[0])
    current = Current(host="b", needs=(ref,))
    assert tuple(current.needed({ref: seen})) == ((ref,) if waits else ())


def test_a_key_with_another_mode_is_mended_where_it_is_and_waits_for_no_release() -> None:
    ref = Ref("b", "release", NAMES[0])
    current = Current(host="b", needs=(ref,))
    seen = {"type": "link", "leads to": "privkey.pem is root:root 0600"}
    assert tuple(current.needed({current.ref: seen, ref: CannotSee("why")})) == ()
    assert commands(planned(current, seen)) == (
        "chown root:ssl-cert /var/lib/reconciler/certificate/current/privkey.pem"
        " && chmod 0640 /var/lib/reconciler/certificate/current/privkey.pem"
    )
    folder = {**seen, "type": "directory"}
    assert tuple(current.needed({current.ref: folder})) == (ref,)
    assert "use proven" in commands(planned(current, folder))
