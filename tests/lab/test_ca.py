"""Every fleet has a certificate authority that Debian's certbot trusts as it is."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from lab import Fleet, LabHost
from lab.recipe import TOMCAT_RELOAD
from tests import ROOT

pytestmark = pytest.mark.fleet

ISSUE = (
    "certbot certonly -n --agree-tos --register-unsafely-without-email --webroot -w /var/www/html "
    "--server https://acme:14000/dir --force-renewal --cert-name lab"
)
LIVE = "/etc/letsencrypt/live/lab"


@pytest.fixture(scope="module")
def certbot(spare_fleet: Fleet) -> LabHost:
    """The spare host with certbot, for all tests here."""
    spare_fleet.reset()
    host = spare_fleet.hosts[0]
    host.run("apt-get install -qq -y certbot && certbot --version")
    return host


@pytest.fixture
def usual_ca(spare_fleet: Fleet) -> Iterator[None]:
    """Whatever a test does to the CA of the spare fleet, the next one finds it as usual."""
    yield
    spare_fleet.refuse(False)
    spare_fleet.ca.restart()


def addresses(host: LabHost, name: str) -> list[str]:
    """What the DNS of the fleet says, asked from a host."""
    return sorted(host.run(f"dig +short {name}").stdout.split())


def roots(fleet: Fleet) -> int:
    """How many issuing roots were seen."""
    return fleet.ca.roots.read_text().count("BEGIN CERTIFICATE")


def issue(host: LabHost, *names: str) -> subprocess.CompletedProcess[str]:
    """Let certbot ask for a certificate with these names."""
    return host.run(f"{ISSUE} {' '.join(f'-d {name}' for name in names)} 2>&1", check=False)


def verified(host: LabHost, fleet: Fleet) -> str:
    """What openssl says of the certificate, given the roots that the fleet keeps."""
    host.write("/srv/roots.pem", fleet.ca.roots.read_text())
    chain = f"openssl verify -CAfile /srv/roots.pem -untrusted {LIVE}/chain.pem {LIVE}/cert.pem"
    return host.run(f"{chain} 2>&1", check=False).stdout


def test_hosts_trust_the_authority_and_find_names_in_its_dns(fleet: Fleet) -> None:
    first = fleet.hosts[0]
    first.run(f"curl -fsS -o /dev/null {fleet.ca.directory}")
    for host in fleet.hosts:
        assert addresses(fleet.hosts[1], host.name) == [host.address]
    assert addresses(first, fleet.router) == [first.address]


def test_a_name_has_the_addresses_it_was_given_last(fleet: Fleet) -> None:
    first, second, third = fleet.hosts
    name = "several.test.dataone.org"
    fleet.ca.set_name(name, first.address, second.address, third.address)
    assert addresses(first, name) == [first.address, second.address, third.address]
    fleet.ca.set_name(name, third.address)
    assert addresses(first, name) == [third.address]
    assert addresses(first, f"{name} AAAA") == []
    fleet.ca.forget(name)
    assert addresses(first, name) == []


@pytest.mark.gate
@pytest.mark.usefixtures("usual_ca")
def test_certbot_gets_a_certificate_for_as_long_as_wanted(certbot: LabHost, spare_fleet: Fleet) -> None:
    before = roots(spare_fleet)
    done = issue(certbot, certbot.name, spare_fleet.router)
    assert done.returncode == 0, done.stdout
    assert verified(certbot, spare_fleet) == f"{LIVE}/cert.pem: OK\n"
    end = f"openssl x509 -noout -in {LIVE}/cert.pem -checkend"
    certbot.run(f"{end} {89 * 86400}")
    # The next authority has another root and knows no account; the old root is kept.
    spare_fleet.ca.restart(validity=3600)
    assert roots(spare_fleet) == before + 1
    assert verified(certbot, spare_fleet) == f"{LIVE}/cert.pem: OK\n"
    certbot.run("rm -r /etc/letsencrypt/accounts")
    assert issue(certbot, certbot.name).returncode == 0
    assert verified(certbot, spare_fleet) == f"{LIVE}/cert.pem: OK\n"
    assert certbot.run(f"{end} 3700", check=False).returncode == 1


@pytest.mark.gate
@pytest.mark.usefixtures("usual_ca")
def test_a_refusing_authority_keeps_its_accounts(certbot: LabHost, spare_fleet: Fleet) -> None:
    certbot.run("rm -rf /etc/letsencrypt/accounts")
    assert issue(certbot, certbot.name).returncode == 0
    spare_fleet.refuse(True)
    refused = issue(certbot, certbot.name)
    assert refused.returncode == 1
    # Certbot 2.1 prints "AttributeError: can't set attribute" for every error of a CA.
    log = certbot.run("cat /var/log/letsencrypt/letsencrypt.log").stdout
    assert "acme:error:rateLimited" in log
    assert "Retry-After: 3600" in log
    spare_fleet.refuse(False)
    done = issue(certbot, certbot.name)
    assert done.returncode == 0, done.stdout


@pytest.mark.usefixtures("usual_ca")
def test_an_authority_that_is_down_leaves_the_dns(spare: LabHost, spare_fleet: Fleet) -> None:
    ask = f"curl -sS {spare_fleet.ca.directory}"
    spare_fleet.ca.stop()
    assert spare.run(ask, check=False).returncode == 7  # could not connect
    assert addresses(spare, spare.name) == [spare.address]
    spare_fleet.ca.start()
    spare_fleet.ca.start()  # once more changes nothing
    assert "newOrder" in spare.run(ask).stdout


@pytest.mark.gate
def test_a_reset_brings_the_authority_back(spare: LabHost, spare_fleet: Fleet) -> None:
    spare_fleet.ca.set_name(spare.name)
    spare_fleet.ca.stop()
    spare_fleet.reset()
    spare.run(f"curl -fsS -o /dev/null {spare_fleet.ca.directory}")
    assert addresses(spare, spare.name) == [spare.address]


def test_a_name_that_nobody_gave_is_answered_at_once(spare: LabHost) -> None:
    assert addresses(spare, "deb.debian.org") == []


def test_only_a_host_itself_may_reload_the_tls_of_its_tomcat(fleet: Fleet) -> None:
    first, second = fleet.hosts[:2]
    login = "-su reconcile:only-on-loopback -o /dev/null -w '%{http_code}'"
    reload = f"http://{first.address}:8080/manager/text/sslReload"
    first.run(TOMCAT_RELOAD)
    assert second.run(f"curl {login} {reload}").stdout == "403"


@pytest.mark.usefixtures("fleet_machine")
def test_status_ends_quietly_when_nobody_reads_on() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "lab", "status"]
    done = subprocess.run(command, cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")
