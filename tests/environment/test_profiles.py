"""Profiles: which names and schedules they allow, and for how long their certificates live."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.environment.certificate import Certificate
from reconciler.environment.load import InvalidEnvironment, load

HEAD = "environment: e\nrouter: cn.example.org\nhosts: [{name: cn-1.example.org, primary: true}]\n"


def names(count: int) -> str:
    return f"[{', '.join(f'n{number}.example.org' for number in range(count))}]"


def wrong(tmp_path: Path, text: str) -> str:
    """Why the file is refused; empty where it is not."""
    file = tmp_path / "e.yaml"
    file.write_text(HEAD + text, encoding="utf-8")
    try:
        load(str(file))
    except InvalidEnvironment as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("profile", "most"), [("tlsserver", 25), ("shortlived", 25), ("classic", 100), ("of-a-private-ca", 110)]
)
def test_a_certificate_has_no_more_names_than_its_profile_takes(
    tmp_path: Path, profile: str, most: int
) -> None:
    # The router and the host are names, too.
    text = "certificate:\n  profile: {}\n  names: {}\n"
    assert wrong(tmp_path, text.format(profile, names(most - 2))) == ""
    if profile != "of-a-private-ca":
        found = wrong(tmp_path, text.format(profile, names(most - 1)))
        assert f"e.yaml:5:12: the certificate has {most + 1} names" in found


def test_an_entry_is_held_to_the_profile_that_it_takes_over(tmp_path: Path) -> None:
    entry = "certificates:\n  - name: web\n    names: {}\n"
    own = "certificate:\n  profile: tlsserver\n"
    assert wrong(tmp_path, own + entry.format(names(25))) == ""
    assert "the profile tlsserver takes 25" in wrong(tmp_path, own + entry.format(names(26)))
    other = "    server: https://ca.example.org/dir\n"
    assert wrong(tmp_path, own + entry.format(names(26)) + other) == ""


def test_a_name_that_is_no_word_is_refused(tmp_path: Path) -> None:
    assert "is not the name of a profile" in wrong(tmp_path, "certificate: {profile: 'a b'}\n")


def test_the_lifetime_is_the_shorter_one_of_both(tmp_path: Path) -> None:
    assert Certificate().days == 90
    assert Certificate(profile="shortlived").days == 6
    assert Certificate(profile="tlsserver", lifetime=30).days == 30
    assert Certificate(profile="x", lifetime=30).days == 30
    daily = "  schedule: 0 3 * * *\n"
    assert wrong(tmp_path, f"certificate:\n  profile: tlsserver\n{daily}") == ""
    assert "certificates live 6 days" in wrong(tmp_path, f"certificate:\n  profile: shortlived\n{daily}")
    entry = "certificates:\n  - name: web\n    names: [web.example.org]\n    profile: shortlived\n"
    found = wrong(tmp_path, f"certificate:\n{daily}{entry}")
    assert ":9:14: too slow: certificates live 6 days" in found
    assert wrong(tmp_path, entry) == ""
