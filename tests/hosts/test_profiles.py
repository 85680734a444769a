"""A profile on hosts whose certbot is Debian's (2.1), and at a CA that has none: the plan says so, and no order is
placed. The certbot of the second half is a stand-in that only tells another version; no host of the lab has a newer one,
and the lab's Pebble (2.4) has no profiles."""

from __future__ import annotations

import pytest

from tests.support.serving import ROUTER, SCRIPT, Node

pytestmark = [pytest.mark.fleet, pytest.mark.gate]

NEWER = """\
#!/bin/sh
case $* in --version) echo "certbot 4.0.0" ;; *) exec /usr/bin/certbot "$@" ;; esac
"""


def test_what_keeps_an_order_by_a_profile_back_is_told_before_it(settled: Node) -> None:
    node, primary = settled, settled.fleet.hosts[0]
    before, orders = node.one(), node.orders()
    node.declare(more_certificate="  profile: shortlived\n")
    try:
        (action,) = (each for each in node.document(2, "drift")["actions"] if each["kind"] == "certificate")
        assert [delta["field"] for delta in action["deltas"]] == ["certbot"]
        assert "certbot is 2.1" in action["blocked"]
        assert "[certbot-too-old]" in node.run(0, "plan").out
        ended = node.apply(4)
        assert "[certbot-too-old]" in ended.out
        said = primary.run(f"{SCRIPT} renew 2>&1", check=False)
        assert (said.returncode, "nothing was ordered [certbot-too-old]" in said.stdout) == (1, True)

        primary.write("/usr/local/bin/certbot", NEWER, 0o755)
        assert f"change cn-lab-1 certificate {ROUTER}" not in node.pending(0)
        said = primary.run(f"{SCRIPT} renew 2>&1", check=False)
        assert said.returncode == 1
        assert (
            "offers no profile shortlived (there: none): nothing was ordered [profile-not-offered]"
            in said.stdout
        )
        assert (node.one(), node.orders()) == (before, orders)
    finally:
        primary.run("rm -f /usr/local/bin/certbot")
        node.declare()
        node.settle()
