"""An environment as a file, and read back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from reconciler.environment import yaml_writer
from reconciler.environment.certificate import Certificate
from reconciler.environment.load import load
from reconciler.environment.services import Services, TomcatTls
from reconciler.environment.settings import Environment, Host, HostSsh, Paths, Ssh, Sync
from reconciler.environment.yaml_reader import parse
from tests.discovery.surveys import ROUTER, A, B

WHOLE = Environment(
    name="e",
    router=ROUTER,
    hosts=(
        Host(name=A, address="10.0.0.1", primary=True),
        Host(name=B, ssh=HostSsh(user="me", port=2200, identity="/i", jump="none")),
    ),
    ssh=Ssh(
        user="ops",
        port=2222,
        identity="/k",
        known_hosts="/it's: #1 h",
        jump="j@x:22,y",
        config="none",
        sudo=False,
    ),
    sync=Sync(account="sync", home="/srv/sync"),
    certificate=Certificate(
        names=("more.example.org",), email="it.s-#1@x.org", jitter=0, schedule="5 1,13 * * *"
    ),
    paths=Paths(challenge="/srv/a+b"),
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
        "version: 1",
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
