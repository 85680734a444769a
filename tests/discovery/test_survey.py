"""What a host's answers say, as settings of an environment."""

from __future__ import annotations

import subprocess
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from reconciler.discovery.parsing import words
from reconciler.discovery.survey import CONNECTORS
from reconciler.model import CannotSee
from reconciler.questions.finding import HIDDEN
from reconciler.questions.system import CommandResult
from tests.discovery.surveys import ROUTER, A, B, survey
from tests.support import forged


def leaf(*names: str) -> str:
    """A certificate for these names, as PEM."""
    return forged.pem(forged.signed("x", ec.generate_private_key(ec.SECP256R1()), None, names=names))


def test_a_host_that_shows_nothing_has_no_settings() -> None:
    assert survey() == {"services.apache": False}


def test_what_our_own_files_tell() -> None:
    state = survey(
        router=ROUTER,
        script=tuple(
            ("certificate.sh", line)
            for line in (
                "# Written by reconcile from the environment stage; changes here are undone.",
                "server=https://ca.example.org/dir",
                "rehearsal=''",
                "email='it'\"'\"'s@example.org'",
                "key_size=3072",
                "orders_a_week=9",
                "server=$1",
            )
        ),
        job=(("job", "5 1,13 * * * root sh /etc/letsencrypt/renewal/certificate.sh renew 60"),),
        notice=(
            ("n", "administrators='a b@example.org'"),
            ("n", 'mail -s "$environment: the certificate" "$administrators" <<END'),
        ),
        lineages=((f"/etc/letsencrypt/renewal/{ROUTER}.conf", "server = https://other.example.org/"),),
        renews=CommandResult(
            0,
            "/etc/cron.d/reconcile-certificate\n/etc/cron.d/reconcile-certificate-web\n/etc/cron.d/certbot\n/etc/cron.daily/x",
        ),
    )
    assert state == {
        "services.apache": False,
        "lineage": ROUTER,
        "certificate.server": "https://ca.example.org/dir",
        "certificate.email": "it's@example.org",
        "certificate.key_size": 3072,
        "certificate.orders_a_week": 9,
        "certificate.schedule": "5 1,13 * * *",
        "certificate.jitter": 60,
        "certificate.administrators": "a b@example.org",
        "environment": "stage",
        "renewed by": "job /etc/cron.daily/x",
        "left alone": "/etc/cron.daily/x",
    }


def test_a_notice_of_an_earlier_release_names_the_recipient_in_its_command() -> None:
    state = survey(notice=(("n", "mail -s \"stage: the certificate\" 'a b@example.org' <<END"),))
    assert state["certificate.administrators"] == "a b@example.org"


def test_what_files_made_by_hand_tell() -> None:
    state = survey(
        named={"cn.router.hostname": (ROUTER,), "environment.hosts": (f"{A}  {B} {A}",)},
        account=CommandResult(0, "sync:/srv/sync\n2"),
        units=CommandResult(0, "apache2.service\npostgresql@9.6-main.service\npostgresql@14-main.service"),
        links=CommandResult(0, "/var/lib/postgresql/14/main/server.crt"),
        settings=(("/etc/postgresql/9.6/main/postgresql.conf", "ssl_cert_file = '/x'"),),
        lineages=(("/etc/letsencrypt/renewal/cn-0001.conf", "server = https://ca.example.org/"),),
        leaves=(
            ("/etc/letsencrypt/live/cn-0001/cert.pem", leaf(ROUTER, A, "more.example.org")),
            ("/live/y/z", "junk"),
        ),
        sites=(
            ("/s/other.conf", "<VirtualHost *:443>"),
            ("/s/other.conf", "ServerName other.example.org"),
            ("/s/other.conf", "SSLCACertificateFile /etc/ssl/other.crt"),
            ("/s/own.conf", "<VirtualHost *:443>"),
            ("/s/own.conf", f"ServerName {ROUTER}"),
            ("/s/own.conf", 'SSLCACertificateFile "/etc/ssl/ca.crt"'),
            ("/s/own.conf", "Alias /.well-known/acme-challenge/ /srv/challenge/"),
        ),
        contact=CommandResult(0, '"mailto:ops@example.org"'),
        old_notice=(("n", 'ADMIN="administrator@example.org"'),),
    )
    assert (state["router"], state["hosts"]) == (ROUTER, f"{A} {B}")
    assert (state["sync.account"], state["sync.home"], state["other keys"]) == ("sync", "/srv/sync", 2)
    assert (state["services.postgresql"], state["services.postgresql_certificate"]) == ("14", "links")
    assert (state["services.client_ca"], state["paths.challenge"]) == ("/etc/ssl/ca.crt", "/srv/challenge")
    assert state["other sites"] == "own.conf"
    assert (state["lineage"], state["names"]) == ("cn-0001", f"{A} {ROUTER} more.example.org")
    assert state["certificate.email"] == "ops@example.org"
    assert state["certificate.administrators"] == "administrator@example.org"


def test_what_cannot_be_seen_is_named_and_nothing_is_guessed_of_it() -> None:
    state = survey(units=CannotSee("no systemd"), leaves=HIDDEN)
    assert state == {"services.apache": False, "hidden": "leaves, units"}


def test_further_lineages_are_told_with_what_our_own_script_and_job_say_of_them() -> None:
    state = survey(
        router=ROUTER,
        lineages=(
            (f"/etc/letsencrypt/renewal/{ROUTER}.conf", "server = https://ca.example.org/"),
            ("/etc/letsencrypt/renewal/web.conf", "server = https://cb.example.org/"),
            ("/etc/letsencrypt/renewal/old.conf", "server = https://cb.example.org/"),
        ),
        leaves=(
            ("/etc/letsencrypt/live/web/cert.pem", leaf("web.example.org", "www.example.org")),
            ("/etc/letsencrypt/live/old/cert.pem", "junk"),
        ),
        in_the_dns=(("/etc/letsencrypt/renewal/web.conf", "pref_challs = dns-01,"),),
        further_scripts=(
            ("/etc/letsencrypt/renewal/certificate-web.sh", "email=w@example.org"),
            ("/etc/letsencrypt/renewal/certificate-other.sh", "email=o@example.org"),
        ),
        further_jobs=(
            ("/etc/cron.d/reconcile-certificate-web", "5 1 * * * root sh /x/certificate-web.sh renew 9"),
        ),
        stores=CommandResult(0, "/var/lib/reconciler/certificates/web/current\n"),
    )
    assert {key: value for key, value in state.items() if key.startswith("further")} == {
        "further old server": "https://cb.example.org/",
        "further web server": "https://cb.example.org/",
        "further web names": "web.example.org www.example.org",
        "further web key": "ECDSA secp256r1",
        "further web lifetime": state["further web lifetime"],
        "further web challenge": "dns-01",
        "further web email": "w@example.org",
        "further web schedule": "5 1 * * *",
        "further web jitter": 9,
        "further web store": True,
    }


def test_words_of_a_shell_text() -> None:
    assert words("a 'b c' \"d\"") == ["a", "b c", "d"]
    assert words("it's") == []


def test_connectors_are_told_without_what_is_in_comments_and_without_passwords(tmp_path: Path) -> None:
    folder = tmp_path / "tomcat9"
    folder.mkdir()
    (folder / "server.xml").write_text(
        '<Server port="8005">\n<!-- <Connector port="1" SSLEnabled="true"/> -->\n'
        '<Connector port="8080" redirectPort="8443"/>\n'
        '<Connector SSLEnabled="true"\n  port="8444"><SSLHostConfig>'
        '<Certificate certificateKeystorePassword="secret"/></SSLHostConfig></Connector>\n'
    )
    script = CONNECTORS.replace("/etc/tomcat[0-9]*", str(folder))
    said = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout
    assert "secret" not in said
    said = said.replace(str(folder), "/etc/tomcat9")
    state = survey(units=CommandResult(0, "tomcat9.service"), connectors=CommandResult(0, said))
    assert state["services.tomcat_tls.port"] == 8444
