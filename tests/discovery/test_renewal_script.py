"""What the blueprint writes at the top of the renewal script is what a survey reads there."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from reconciler.blueprint import renewal, resources
from reconciler.discovery import environment
from reconciler.discovery.environment import ImportInput
from reconciler.discovery.survey import Survey
from reconciler.environment.certificate import LETS_ENCRYPT, LETS_ENCRYPT_STAGING, Certificate, Fallback
from reconciler.environment.settings import Environment, Host
from reconciler.kinds.file import File
from tests.discovery.surveys import ROUTER, A, B, ask, survey

HOSTS = (Host(name=A, primary=True), Host(name=B))
URLS = st.sampled_from(
    [LETS_ENCRYPT, LETS_ENCRYPT_STAGING, "https://ca.example.org/dir?a=$(x)&b='c'", 'https://x/"`~#']
)
LINES = st.text(
    st.characters(min_codepoint=32, exclude_characters="\x7f", exclude_categories=("Cs",)), min_size=1
)
CERTIFICATES = st.builds(
    Certificate,
    server=URLS,
    rehearsal=st.none() | st.just("none") | URLS,
    email=st.none() | LINES,
    key_size=st.sampled_from([2048, 3072, 4096]),
    resolver=st.none() | st.sampled_from(["192.0.2.1", "2001:db8::1"]),
    ca_bundle=st.none() | LINES.map(lambda text: f"/{text}"),
    fallback=st.none()
    | st.builds(
        Fallback,
        server=URLS,
        email=st.none() | st.just("of-the-second@example.org"),
        ca_bundle=st.none() | LINES.map(lambda text: f"/{text}"),
    ),
    profile=st.none() | st.sampled_from(["shortlived", "a.b_c-d"]),
    orders_a_week=st.integers(1, 1000),
    failures_an_hour=st.integers(1, 1000),
) | st.builds(Certificate, key_type=st.sampled_from(["ecdsa-p256", "ecdsa-p384"]))


def script(certificate: Certificate) -> str:
    declared = Environment(name="stage", router=ROUTER, hosts=HOSTS, certificate=certificate)
    (content,) = [
        each.content or ""
        for each in resources(declared)
        if isinstance(each, File) and each.host == A and each.path.endswith("/certificate.sh")
    ]
    return content


def test_every_setting_of_the_table_is_one_of_a_certificate() -> None:
    types = {each.name: each.type for each in fields(Certificate)}
    for name, kind in renewal.SETTINGS.items():
        assert types[name] in (kind.__name__, f"{kind.__name__} | None")


@given(CERTIFICATES)
def test_each_setting_of_the_renewal_script_is_read_back_as_it_was_declared(certificate: Certificate) -> None:
    usual = LETS_ENCRYPT_STAGING if certificate.server == LETS_ENCRYPT else "none"
    if certificate.rehearsal == usual:
        certificate = replace(certificate, rehearsal=None)
    lines = tuple(("certificate.sh", line) for line in script(certificate).split("\n"))
    state = survey(router=ROUTER, script=lines)
    assert state["environment"] == "stage"
    found, _ = environment.environment(ImportInput("e", HOSTS, router=ROUTER, primary=A), {A: state})
    assert found.certificate == certificate


def test_a_survey_asks_for_each_line_that_has_a_setting(tmp_path: Path) -> None:
    question = Survey(host=A).ask()["script"]
    path = tmp_path / "certificate.sh"
    path.write_text(script(Certificate(email="it's@example.org")), encoding="utf-8")
    (found,) = ask(replace(question, pattern=str(path)))
    names = [line.partition("=")[0] for _, line in found]
    assert names[0].startswith("# Written by reconcile from the environment stage; ")
    assert names[1:] == list(renewal.SETTINGS)
