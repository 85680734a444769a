"""The templates: whole files in their own languages, filled in with an environment's values."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.blueprint import resources, templates
from reconciler.environment.certificate import Certificate
from reconciler.environment.services import Services
from reconciler.environment.settings import Environment, Host
from reconciler.kinds.file import File
from reconciler.kinds.sudoers import Sudoers

FOLDER = Path(templates.__file__).parent
ENVIRONMENT = Environment(
    name="stage",
    router="cn.example.org",
    hosts=(Host(name="a.example.org", primary=True), Host(name="b.example.org")),
    certificate=Certificate(administrators="administrators@example.org"),
    services=Services(postgresql="15", client_ca="/etc/ssl/ca.crt"),
)


def written(environment: Environment = ENVIRONMENT) -> dict[str, str]:
    """What the blueprint writes from templates, by the names of the files."""
    return {
        r.ref.name.rpartition("/")[2]: r.content
        for r in resources(environment)
        if isinstance(r, (File, Sudoers)) and r.content and templates.MARK in r.content
    }


def test_each_template_is_a_file_that_the_blueprint_writes() -> None:
    for path in FOLDER.iterdir():
        if path.suffix not in (".py", ".pyc") and path.is_file():
            body = path.read_text(encoding="utf-8").splitlines()[-1]
            pattern = re.sub("@[a-z_]+@", "[^\n]+", re.escape(body))
            assert any(re.search(pattern, text) for text in written().values()), path.name


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.sh")), ids=lambda path: path.name)
def test_a_template_in_shell_is_a_whole_script_with_examples(path: Path) -> None:
    assert path.read_text(encoding="utf-8").startswith("#!/bin/sh\n# Examples of its settings;")
    subprocess.run(["sh", "-n", path], check=True)


def test_what_is_written_is_complete_and_names_its_environment() -> None:
    for name, text in written().items():
        assert not re.search("@[a-z_]+@", text), name
        first = text.removeprefix("#!/bin/sh\n").splitlines()[0]
        assert first == "# Written by reconcile from the environment stage; changes here are undone."
        assert "Examples of its settings" not in text
        if text.startswith("#!"):
            subprocess.run(["sh", "-n"], input=text, text=True, check=True)


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",))), st.integers())
def test_a_setting_reaches_the_script_as_it_is(value: str, number: int) -> None:
    settings: dict[str, str | int] = {
        "store": value,
        "group": number,
        "keys": "",
        "forms": "",
        "complaint": "",
        "rsa": "",
        "ecdsa": "",
    }
    assignments = templates.script("release.sh", "stage", settings).partition("\n\n#")[0]
    command = f"{assignments}\n" + 'printf "%s\\0%s\\0%s" "$store" "$group" "$complaint"'
    printed = subprocess.run(["sh", "-c", command], capture_output=True, check=True).stdout
    assert printed.decode().split("\0") == [value, str(number), ""]


def test_settings_that_are_not_those_of_the_template_are_an_error() -> None:
    other_order = {
        "group": "g",
        "store": "/x",
        "keys": "",
        "forms": "",
        "complaint": "",
        "rsa": "",
        "ecdsa": "",
    }
    for settings in ({}, {"store": "/x"}, other_order):
        with pytest.raises(
            ValueError,
            match=r"release\.sh has the settings \['store', 'group', 'keys', 'forms', 'complaint', 'rsa', 'ecdsa'\]",
        ):
            templates.script("release.sh", "stage", settings)
    with pytest.raises(KeyError, match="key"):
        templates.text("postgresql.conf", "stage", {"crt": "/x"})


def test_a_line_without_its_value_is_left_out() -> None:
    whole = written()["cn-ssl.conf"]
    assert "    SSLCertificateKeyFile /var/lib/reconciler/certificate/current/privkey.pem\n" in whole
    line = "    SSLCACertificateFile /etc/ssl/ca.crt\n"
    assert line in whole
    services = Services(postgresql="15")
    without = written(replace(ENVIRONMENT, services=services))["cn-ssl.conf"]
    assert without == whole.replace(line, "")


def test_a_dollar_of_apaches_own_stays() -> None:
    assert (
        '    RedirectMatch permanent "^/(?!\\.well-known/)(.*)" "https://cn.example.org/$1"\n'
        in written()["cn-port80.conf"]
    )
