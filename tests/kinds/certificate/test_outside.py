"""What clients get, seen from another host."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.kinds.certificate.answer import ANSWERS
from reconciler.kinds.certificate.answer import NOTHING as SILENT
from reconciler.kinds.certificate.outside import WEB, Outside, Reachable
from reconciler.kinds.certificate.serving import Serving, TlsService
from reconciler.model import Ref, Seen, Value
from reconciler.plan.planner import plan
from reconciler.questions.tls import NOTHING

APACHE = TlsService(
    service="apache", port=443, protocol="tls", check=None, reload="true", unit="apache2", names=(None,)
)
SERVING = Ref("a", Serving.kind, "cn")
OUTSIDE = Outside(host="b", peer="a", router="cn", endpoints=(APACHE,))
REACHABLE = Reachable(
    host="a", seen_from="b", outside=OUTSIDE.ref, serving=SERVING, answer=None, endpoints=(APACHE,), names=()
)


@pytest.mark.parametrize(
    ("inside", "outside", "is_told"),
    [
        ("new", "new", False),
        ("new", NOTHING, True),
        ("old", "old", False),  # `serving` tells it
        (NOTHING, NOTHING, False),  # `service` tells it
        (NOTHING, "new", False),  # it listens at the host's address alone
        (NOTHING, "old", True),
        (NOTHING, f"at 192.0.2.1: {NOTHING}", True),
    ],
)
def test_what_clients_do_not_get_is_told_once(inside: str, outside: str, is_told: bool) -> None:
    serving: dict[str, Value] = {"current": "new", APACHE.label: inside}
    seen: dict[Ref, Seen] = {
        SERVING: serving,
        OUTSIDE.ref: {APACHE.label: outside},
        REACHABLE.ref: {},
    }
    found = plan("e", [OUTSIDE, REACHABLE], seen, {}).actions
    assert [each.ref for each in found] == ([REACHABLE.ref] if is_told else [])


@pytest.mark.parametrize(
    ("seen_outside", "is_told"),
    [(ANSWERS, False), (SILENT, True), (f"{SILENT} at 2001:db8::1", True), ("something else answers", True)],
)
def test_a_challenge_that_only_its_own_host_could_fetch_is_told(seen_outside: str, is_told: bool) -> None:
    """Port 80 is closed to others, at one address or all: the next order would fail."""
    answer = Ref(REACHABLE.host, "answer", "/probe")
    outside = replace(OUTSIDE, web=("/probe", "it is me"))
    reachable = replace(REACHABLE, answer=answer, names=("cn",))
    seen: dict[Ref, Seen] = {
        SERVING: {"current": "new", APACHE.label: "new"},
        OUTSIDE.ref: {APACHE.label: "new", WEB: seen_outside},
        REACHABLE.ref: {},
        answer: {"as cn": ANSWERS},
    }
    found = plan("e", [outside, reachable], seen, {}).actions
    told = [(REACHABLE.ref, WEB)] if is_told else []
    assert [(each.ref, delta.field) for each in found for delta in each.deltas] == told
    # Where the host itself gets something else, `answer` tells it.
    assert plan("e", [outside, reachable], {**seen, answer: {"as cn": SILENT}}, {}).actions == ()
