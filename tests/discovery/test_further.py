"""Further lineages become entries of `certificates`, or a remark says why not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.discovery import environment
from reconciler.discovery.environment import ImportInput
from reconciler.environment.certificate import LETS_ENCRYPT, Certificate
from reconciler.environment.load import load
from reconciler.environment.ordered import Ordered
from reconciler.environment.settings import Environment, Host
from reconciler.environment.yaml_writer import text
from reconciler.model import State
from tests.discovery.surveys import ROUTER, A, B

HOSTS = (Host(name=A, primary=True), Host(name=B))
PRIMARY: State = {
    "router": ROUTER, "sync.account": "rsync_user", "lineage": ROUTER, "certificate.server": LETS_ENCRYPT,
}  # fmt: skip
WEB = {
    "server": LETS_ENCRYPT,
    "names": "web.example.org www.example.org",
    "key": "ECDSA secp384r1",
    "lifetime": 90,
}


def made(of: dict[str, Any], name: str = "web", more: State | None = None, other: State | None = None) -> Any:
    lineage = {f"further {name} {field}": value for field, value in of.items()}
    surveys = {A: {**PRIMARY, **lineage, **(more or {})}, B: other or {}}
    return environment.environment(ImportInput("e", HOSTS, primary=A), surveys)


def read_back(found: Environment, tmp_path: Path) -> Environment:
    file = tmp_path / "e.yaml"
    file.write_text(text(found, "x", {}), encoding="utf-8")
    return load(str(file))


def test_a_lineage_is_an_entry_that_is_read_back_as_it_was_found(tmp_path: Path) -> None:
    found, remarks = made({**WEB, "email": "w@example.org", "schedule": "5 1 * * *", "jitter": 9})
    (entry,) = found.ordered
    assert (entry.name, entry.names, entry.hosts) == ("web", ("web.example.org", "www.example.org"), (A,))
    assert entry.settings.key_type == "ecdsa-p384"
    assert remarks["certificates"] == [
        "web: no host shows what serves it; name that below `consumers`, with `certificate: web`"
    ]
    (again,) = read_back(found, tmp_path).ordered
    assert again == entry


@pytest.mark.parametrize("fact", ["server", "store"])
def test_it_is_on_the_hosts_that_show_it(fact: str) -> None:
    found, _ = made(WEB, other={f"further web {fact}": True})
    assert found.ordered[0].hosts is None


def test_one_that_the_primary_does_not_have_is_told() -> None:
    found, remarks = made({}, other={f"further web {field}": value for field, value in WEB.items()})
    assert found.ordered == ()
    why = f"web is on {B}, and not on the primary {A}: not taken over"
    assert remarks["certificates"] == [f"certbot's lineage {why}"]
    assert "certificates" not in made({}, other={"further web store": True})[1]


def test_another_ca_and_its_second_one_are_said_and_their_roots_asked_for(tmp_path: Path) -> None:
    second = {"fallback_server": "https://cc.example.org/", "fallback_email": "c@example.org"}
    found, remarks = made({**WEB, "server": "https://cb.example.org/", **second})
    assert any("its roots cannot be found out" in each for each in remarks["certificates"])
    (again,) = read_back(found, tmp_path).ordered
    assert again == found.ordered[0]
    assert again.settings.fallback.email == "c@example.org"


def test_the_second_ca_of_the_own_one_is_taken_over_with_its_roots() -> None:
    second = {"fallback_server": "https://cc.example.org/"}
    own = {f"certificate.{key}": value for key, value in second.items()}
    lineage = {f"further web {field}": value for field, value in {**WEB, **second}.items()}
    given_ = ImportInput("e", HOSTS, primary=A, fallback_roots="second.pem")
    found, remarks = environment.environment(given_, {A: {**PRIMARY, **own, **lineage}})
    assert found.certificate.fallback.roots == "second.pem"
    assert found.ordered[0].settings.fallback == found.certificate.fallback
    assert "certificate.fallback" not in remarks


def test_a_name_that_no_entry_can_have_is_written_with_hyphens_and_told() -> None:
    found, remarks = made(WEB, "web.example.org")
    assert found.ordered[0].name == "web-example-org"
    assert (
        "certbot's lineage is named web.example.org; a new one named web-example-org"
        in remarks["certificates"][0]
    )


@pytest.mark.parametrize(
    ("of", "why"),
    [
        ({**WEB, "ended": "2026-01-02"}, "it ended on 2026-01-02, and nothing renews it"),
        ({"server": LETS_ENCRYPT}, "its certificate was not seen"),
        ({**WEB, "names": "a b_c"}, "b_c is no name that a CA can ask for"),
        ({**WEB, "challenge": "dns-01"}, "it is ordered by dns-01; write an entry with your `dns_hook`"),
    ],
)
def test_what_could_not_be_ordered_is_a_remark_and_no_entry(of: dict[str, Any], why: str) -> None:
    found, remarks = made(of)
    assert found.ordered == ()
    (remark,) = remarks["certificates"]
    assert remark.startswith(f"certbot's lineage web is not taken over: {why}")


def test_of_two_that_would_have_one_name_the_second_is_told() -> None:
    lineage = {f"further a-b {field}": value for field, value in WEB.items()}
    found, remarks = made(WEB, "a.b", more=lineage)
    assert [each.name for each in found.ordered] == ["a-b"]
    assert "certbot's lineage a.b is not taken over: a-b is there already" in remarks["certificates"]


SETTINGS = st.builds(
    Certificate,
    email=st.just("a@example.org"),
    server=st.sampled_from([LETS_ENCRYPT, "https://ca.example.org/dir"]),
    key_type=st.sampled_from(["rsa", "ecdsa-p256"]),
    lifetime=st.sampled_from([90, 45]),
    max_failed=st.integers(0, 3),
    challenge=st.just("dns-01"),
    dns_hook=st.sampled_from(["/opt/a", "/opt/b"]),
    dns_wait=st.sampled_from([120, 60]),
)


@given(SETTINGS, SETTINGS)
def test_an_entry_is_read_back_beside_whatever_the_own_one_says(
    tmp_path_factory: pytest.TempPathFactory, own: Certificate, its: Certificate
) -> None:
    entry = Ordered(name="web", names=("web.example.org",), settings=its)
    declared = Environment(name="e", router=ROUTER, hosts=HOSTS, certificate=own, ordered=(entry,))
    (again,) = read_back(declared, tmp_path_factory.mktemp("said")).ordered
    assert again == replace(entry, settings=its)
