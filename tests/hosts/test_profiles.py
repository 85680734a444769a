"""A profile: on hosts whose certbot is Debian's (2.1), and at a CA that has none, the plan says so, and no order is
placed (the certbot of the second half is a stand-in that only tells another version); and ordered and renewed, with the
first certbot that can ask for one, at a Pebble that has them (`lab.newer`)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from lab import newer
from lab.commands import LabError
from lab.store import store
from reconciler import x509
from reconciler.tls.endpoint import NoHandshake, TlsAnswer
from tests.support.fleet import PREFIX, _fleet
from tests.support.serving import LIVE, ROUTER, SCRIPT, Node

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


DAY = 86400
PROFILES = {"classic": 90 * DAY, "shortlived": 6 * DAY}


class Profiles(Node):
    """A host with a certificate of a CA that has profiles."""

    def days(self) -> int:
        """How long certbot's certificate lives."""
        (leaf, *_) = x509.chain(self.fleet.hosts[0].run(f"cat {LIVE}/fullchain.pem").stdout)
        begin, end = x509.window(leaf)
        return round((end - begin).total_seconds() / DAY)

    def judged(self, shown: TlsAnswer | NoHandshake) -> str:
        """By the roots of the CA that has profiles."""
        if isinstance(shown, NoHandshake):
            return shown.reason
        chain, roots = x509.chain_der(shown.chain), self.fleet.ca.other_roots.read_bytes()
        return x509.why_not_trusted(chain, roots, ROUTER, datetime.now(UTC)) or x509.identity(chain)

    def asked_for(self) -> list[str]:
        """What certbot was told of profiles, call after call, by its own log."""
        said = self.fleet.hosts[0].run("cat /var/log/letsencrypt/letsencrypt.log*", check=False).stdout
        return [line for line in said.splitlines() if "Arguments: " in line and "-profile" in line]


@pytest.fixture
def node(
    fleet_machine: None, tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Iterator[Profiles]:
    try:
        program, certbot = newer.pebble(store()), newer.certbot(store())
    except LabError as why:
        pytest.skip(f"a Pebble and a certbot that know profiles cannot be had here: {why}")
    for fleet in _fleet(f"{PREFIX}-profiles", 1, pytestconfig):
        fleet.ca.start_other(program, PROFILES)
        primary = fleet.hosts[0]
        primary.run("apt-get -qq -y install certbot >/dev/null 2>&1")
        newer.install_certbot(primary, certbot)
        yield Profiles(fleet, tmp_path_factory.mktemp("profiles"), 30)


def test_one_that_is_shortlived_is_ordered_and_asked_for_again_at_each_renewal(node: Profiles) -> None:
    ca = node.fleet.ca
    swap = (
        f"server: {ca.directory}\n  roots: {ca.roots}",
        f"server: {ca.other_directory}\n  roots: {ca.other_roots}",
    )
    often = "  schedule: '17 */6 * * *'\n"
    node.declare(swap=swap, more_certificate=f"  profile: classic\n{often}")
    node.settle()
    assert node.days() == 90
    # The profile that is declared another time is the next order's.
    node.declare(swap=swap, more_certificate=f"  profile: shortlived\n{often}")
    first = node.one()
    node.settle()
    assert (node.one(), node.orders()) == (first, ["begun", "issued"])
    node.renew()
    node.apply(0)
    assert (node.days(), node.orders()) == (6, ["begun", "issued"] * 2)
    second = node.one()
    assert second != first
    # certbot 4.0 keeps no profile: the renewal file names none, and the script asks each time.
    assert "profile" not in node.fleet.hosts[0].run(f"cat {LIVE.replace('live', 'renewal')}.conf").stdout
    node.renew()
    node.apply(0)
    assert node.days() == 6
    assert node.one() not in (first, second)
    assert "'--required-profile', 'shortlived'" in node.asked_for()[0] + node.asked_for()[-1]
    node.settled()
