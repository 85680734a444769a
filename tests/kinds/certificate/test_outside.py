"""What clients get, seen from another host."""

from __future__ import annotations

import pytest

from reconciler.kinds.certificate.outside import Outside, Reachable
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
