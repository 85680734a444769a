"""What follows from what hosts show: settings, remarks, and the file that declares them."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from reconciler.discovery import environment
from reconciler.discovery.environment import ImportInput, Undetermined
from reconciler.discovery.survey import CONNECTORS, Survey
from reconciler.environment import yaml_writer
from reconciler.environment.load import load
from reconciler.environment.settings import (
    LETS_ENCRYPT,
    LETS_ENCRYPT_STAGING,
    Certificate,
    Environment,
    Host,
    Paths,
    Services,
    Ssh,
    Sync,
    TomcatTls,
)
from reconciler.environment.yaml_reader import parse
from reconciler.fleet import probe
from reconciler.model import CannotSee, State, words
from reconciler.output import differences
from reconciler.questions.finding import HIDDEN, LeavesQuestion, LinesQuestion
from reconciler.questions.system import CommandResult
from tests.support import forged

NOW = datetime(2026, 11, 23, tzinfo=UTC)
ROUTER = "cn.example.org"
A, B = "a.example.org", "b.example.org"


def leaf(*names: str) -> str:
    """A certificate for these names, as PEM."""
    return forged.pem(forged.signed("x", ec.generate_private_key(ec.SECP256R1()), None, names=names))


# -- questions ------------------------------------------------------------------


def ask(*questions: Any) -> list[Any]:
    script = probe.compose(questions, "boundary")
    done = subprocess.run(["sh", "-s"], input=script.encode(), capture_output=True, check=False)
    answers = probe.parse(done.stdout, questions, "boundary")
    return [answers[question] for question in questions]


def test_lines_of_files_that_a_pattern_names_and_nothing_else_of_them(tmp_path: Path) -> None:
    folder = tmp_path / "it's $(touch x); [a] "
    (folder / "1").mkdir(parents=True)
    (folder / "1" / "x.conf").write_text("password = secret\n  SSL = on \n#ssl = off\nssl =\0 odd\n")
    (folder / "2").mkdir()
    (folder / "2" / "x.conf").write_text("nothing here")
    pattern = f"{folder}/*/x.conf"
    found, none, nowhere = ask(
        LinesQuestion(pattern, "^[[:space:]]*ssl *="),
        LinesQuestion(pattern, "^never"),
        LinesQuestion(f"{tmp_path}/no/*", "."),
    )
    path = f"{folder}/1/x.conf"
    assert found == ((path, "SSL = on"), (path, "ssl = odd"))
    assert (none, nowhere) == ((), ())
    assert not (Path.cwd() / "x").exists()


def test_an_answer_that_did_not_come_whole_is_none() -> None:
    questions = [LinesQuestion("/a/*", "."), LinesQuestion("/b/*", ".")]
    assert LinesQuestion.parse(b"x:y\n\0end\0\n\0hidden\0\n", questions) == [(("x", "y"),), HIDDEN]
    for output in (b"", b"x:y\n\0end\0\n", b"x:y\n\0odd\0\n\0en"):
        assert all(isinstance(each, CannotSee) for each in LinesQuestion.parse(output, questions))
    assert isinstance(LeavesQuestion.parse(b"= /x\n", [LeavesQuestion("/a/*")])[0], CannotSee)


def test_only_the_first_certificate_of_a_file_leaves_the_host(tmp_path: Path) -> None:
    pem = leaf()
    (tmp_path / "one.pem").write_text(f"-----BEGIN PRIVATE KEY-----\n/secret\n{pem}{pem}")
    (found,) = ask(LeavesQuestion(f"{tmp_path}/*.pem"))
    assert found == ((f"{tmp_path}/one.pem", pem),)


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


# -- one host -------------------------------------------------------------------


def survey(
    router: str | None = None, named: Mapping[str, Any] | None = None, **answers: Any
) -> Mapping[str, Any]:
    """What one host's answers say; those that are not given are empty."""
    resource = Survey(host=A, router=router)
    empty: dict[str, Any] = {
        label: CommandResult(1, "") if type(question).__name__ == "Command" else ()
        for label, question in resource.ask().items()
    }
    given_ = {label.replace("_", " "): answer for label, answer in answers.items()}
    state = resource.read({**empty, **given_, **(named or {})}, NOW)
    assert isinstance(state, Mapping)
    return state


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
        notice=(("n", "mail -s \"stage: the certificate\" 'a b@example.org' <<END"),),
        lineages=((f"/etc/letsencrypt/renewal/{ROUTER}.conf", "server = https://other.example.org/"),),
        renews=CommandResult(0, "/etc/cron.d/reconcile-certificate\n/etc/cron.d/certbot\n/etc/cron.daily/x"),
    )
    assert state == {
        "services.apache": False,
        "lineage": ROUTER,
        "certificate.server": "https://ca.example.org/dir",
        "rehearsal": "none",
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


def test_words_of_a_shell_text() -> None:
    assert words("a 'b c' \"d\"") == ["a", "b c", "d"]
    assert words("it's") == []


# -- all hosts ------------------------------------------------------------------

HOSTS = (Host(name=A), Host(name=B))
BOTH: State = {"router": ROUTER, "hosts": f"{B} {A}", "sync.account": "rsync_user", "services.tomcat": "9"}


def made(surveys: Mapping[str, State], **more: Any) -> tuple[Environment, dict[str, list[str]]]:
    return environment.environment(ImportInput("e", HOSTS, **more), surveys)


def test_the_primary_is_where_the_lineage_lives() -> None:
    found, remarks = made({A: BOTH, B: {**BOTH, "lineage": ROUTER, "certificate.server": "https://x/"}})
    assert (found.primary.name, found.router) == (B, ROUTER)
    assert [host.name for host in found.hosts] == [B, A]  # as node.properties names them
    assert found.certificate.server == "https://x/"
    assert "hosts" not in remarks
    assert "its roots cannot be found out" in remarks["certificate.roots"][0]


@pytest.mark.parametrize("fact", [{"renewed by": "/etc/cron.weekly/x"}, {"timer": True}])
def test_among_copies_of_the_lineage_the_one_that_is_renewed_counts(fact: dict[str, Any]) -> None:
    copy = {**BOTH, "lineage": ROUTER}
    found, remarks = made(
        {
            A: {**copy, **fact, "certificate.email": "a@x"},
            B: {**copy, "names": "z", "certificate.email": "b@x"},
        }
    )
    assert (found.primary.name, found.certificate.email, found.certificate.names) == (A, "a@x", ())
    assert "hosts" not in remarks
    assert made({A: {**copy, **fact}, B: copy}, primary=B)[0].primary.name == B


def test_a_primary_that_cannot_be_told_is_a_remark() -> None:
    copy = {**BOTH, "lineage": ROUTER}
    found, remarks = made({A: copy, B: copy})
    assert found.primary.name == B
    assert f"lies on {B}, {A} alike" in remarks["hosts"][0]
    _, remarks = made({A: BOTH, B: BOTH})
    assert "lies on none of them" in remarks["hosts"][0]
    assert f"{B} has no lineage" in remarks["certificate.names"][0]


def test_what_hosts_disagree_on_is_told() -> None:
    found, remarks = environment.environment(
        ImportInput("e", (*HOSTS, Host(name="c"))),
        {A: BOTH, B: BOTH, "c": {**BOTH, "services.tomcat": "10", "hosts": f"{A} {B} d"}},
    )
    assert (found.services.tomcat, found.sync.account) == ("9", "rsync_user")
    assert remarks["services.tomcat"] == ["c has 10, which is not what most hosts have"]
    found, remarks = made({A: {**BOTH, "hosts": f"{A} {B} d"}, B: {"environment": "f"}})
    assert "environment.hosts also names d" in remarks["hosts"][0]
    assert f"{B} has been written by an environment called f, not e" in remarks[""]


def test_it_is_called_as_most_hosts_say_by_whom_they_were_written() -> None:
    assert (
        environment.named({"a": {"environment": "x"}, "b": {"environment": "y"}, "c": {"environment": "y"}})
        == "y"
    )
    with pytest.raises(Undetermined, match="--name"):
        environment.named({"a": {}})


def test_without_a_router_there_is_no_environment() -> None:
    with pytest.raises(Undetermined, match="say it with --router"):
        made({A: {}, B: {}})
    assert made({A: {}, B: {}}, router=ROUTER)[0].router == ROUTER
    assert made({A: {"lineage": ROUTER}, B: {}})[0].router == ROUTER


def test_further_names_and_what_is_left_alone() -> None:
    state = {**BOTH, "lineage": "cn-0001", "names": f"{A} {ROUTER} more.example.org", "key": "RSA 4096"}
    aside = {"left alone": "/etc/cron.weekly/x", "other sites": "y.conf", "other keys": 2, "hidden": "units"}
    found, remarks = made({A: {**state, **aside}, B: {**BOTH, "without root": True}}, roots="r.pem")
    assert (found.certificate.names, found.certificate.key_size) == (("more.example.org",), 4096)
    assert (found.certificate.roots, found.services.tomcat_tls) == ("r.pem", None)
    told = "\n".join(remarks[""])
    for word in ("/etc/cron.weekly/x", "y.conf", "2 keys", "units", "cn-0001", "without root"):
        assert word in told
    assert made({A: {**BOTH, "services.tomcat_tls.port": 8443}, B: {}})[0].services.tomcat_tls == TomcatTls()


# -- the file -------------------------------------------------------------------

WHOLE = Environment(
    name="e",
    router=ROUTER,
    hosts=(Host(name=A, address="10.0.0.1", primary=True), Host(name=B)),
    ssh=Ssh(user="ops", port=2222, identity="/k", known_hosts="/h", jump="j@x:22", sudo=False),
    sync=Sync(account="sync", home="/srv/sync"),
    certificate=Certificate(
        names=("more.example.org",), email="it's: #1@x", jitter=0, schedule="5 1,13 * * *"
    ),
    paths=Paths(challenge="/srv/a b"),
    services=Services(postgresql="9.6", tomcat="10", tomcat_tls=TomcatTls(reload="curl -f 'x'"), portal=True),
)


def test_a_file_that_is_written_is_read_back_the_same(tmp_path: Path) -> None:
    path = tmp_path / "e.yaml"
    path.write_text(yaml_writer.text(WHOLE, "s.json", {}), encoding="utf-8")
    found = load(str(path))
    for name in ("name", "router", "ssh", "sync", "paths", "services"):
        assert getattr(found, name) == getattr(WHOLE, name)
    assert replace(found.certificate, trusted=b"") == WHOLE.certificate
    assert [replace(host, place=None) for host in found.hosts] == list(WHOLE.hosts)


def test_a_connector_is_told_by_its_port_even_where_that_is_the_usual_one(tmp_path: Path) -> None:
    path = tmp_path / "e.yaml"
    for tls in (TomcatTls(), TomcatTls(port=9443)):
        services = Services(tomcat="10", tomcat_tls=tls)
        path.write_text(yaml_writer.text(replace(WHOLE, services=services), "s", {}), encoding="utf-8")
        assert load(str(path)).services == services
        assert path.read_text(encoding="utf-8").count(f"port: {tls.port}") == 1


def test_defaults_are_left_out_and_remarks_stand_where_the_setting_would() -> None:
    small = Environment(
        name="e", router=ROUTER, hosts=(Host(name=A, primary=True),), services=Services(tomcat="9")
    )
    remarks = {
        "": ["of the whole\nfile"], "hosts": ["which?"],
        "services.client_ca": ["not found " * 12], "certificate.email": ["not kept"],
    }  # fmt: skip
    assert yaml_writer.text(small, "s.json", remarks).splitlines() == [
        "# yaml-language-server: $schema=s.json",
        "# of the whole?file",
        "environment: e",
        f"router: {ROUTER}",
        "",
        "# which?",
        "hosts:",
        f"  - name: {A}",
        "    primary: true",
        "",
        "# certificate.email: not kept",
        "",
        "services:",
        f"  # client_ca: {'not found ' * 8}not",
        "  # found not found not found not found",
        '  tomcat: "9"',
    ]


@given(
    st.text() | st.sampled_from(["yes", "~", "1e3", "a: b", "x #y", "- a", "a\u2028b", "\U000e0001", "<<"])
)
def test_any_text_is_read_back_as_it_was(value: str) -> None:
    value = value.encode("utf-8", "replace").decode()
    placed = parse("f", f"a: {yaml_writer.scalar(value)}\nb: [{yaml_writer.scalar(value)}]\n".encode())
    assert (placed.problems, placed.value) == ([], {"a": value, "b": [value]})


# -- differences ----------------------------------------------------------------


def test_every_difference_is_a_line_with_ref_field_and_row() -> None:
    from reconciler.blueprint import resources
    from reconciler.plan.planner import plan

    env = replace(WHOLE, certificate=Certificate(manage=False), services=Services(), file="e.yaml")
    everything = resources(env)
    seen: dict[Any, Any] = {each.ref: None for each in everything}
    shell = next(ref for ref in seen if ref.kind == "account" and ref.host == A)
    seen[shell] = {"home": "/srv/sync", "shell": "/bin/bash", "password": "disabled"}
    hidden = next(ref for ref in seen if ref.kind == "sudoers" and ref.host == A)
    seen[hidden] = CannotSee("no root")
    made_plan = plan("e", everything, seen, {})
    lines = list(differences.lines(env, made_plan))
    assert f'  {A} account sync shell: "/bin/bash" → "/bin/sh"' in lines
    assert f"  {A} package rsync: is not there (installed)" in lines
    rows = [int(line[1:].partition(":")[0].partition(",")[0]) for line in lines if line.startswith("S")]
    assert rows == sorted(rows)
    assert {2, 15} <= set(rows)
    assert any(line.startswith(f"? {A}: cannot see sudoers") for line in lines)
    count = sum(len(action.deltas) for action in made_plan.actions)
    assert lines[-1].startswith(
        f"e.yaml is written; {count} differences in {len(made_plan.actions)} resources"
    )
    document = differences.document(env, made_plan, {"": ["x"]})
    assert len(document["differences"]) == count
    empty = replace(made_plan, actions=(), unknown={})
    assert list(differences.lines(env, empty)) == ["The first plan of e is empty: e.yaml is what is there."]


@pytest.mark.parametrize(
    ("server", "rehearsal", "expected"),
    [
        (LETS_ENCRYPT, LETS_ENCRYPT_STAGING, None),
        (LETS_ENCRYPT, "none", "none"),
        ("https://ca.example.org/", "none", None),
        ("https://ca.example.org/", "https://rehearsal.example.org/", "https://rehearsal.example.org/"),
    ],
)
def test_a_rehearsal_is_declared_where_it_is_not_the_usual_one(
    server: str, rehearsal: str, expected: str | None
) -> None:
    state = {**BOTH, "lineage": ROUTER, "certificate.server": server, "rehearsal": rehearsal}
    assert made({A: state, B: BOTH})[0].certificate.rehearsal == expected


def test_rows_come_in_the_order_of_the_procedure() -> None:
    rows = ["S10: b", differences.OWN, "S2: a", "S12 and S16: c"]
    assert sorted(rows, key=differences._number) == ["S2: a", "S10: b", "S12 and S16: c", differences.OWN]
