"""`include:`: what several environments have in common."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import pytest

from reconciler.environment.load import InvalidEnvironment, load
from tests import ROOT

OWN = """environment: e
router: cn.example.org
include: [common/first.yaml, common/second.yaml]
hosts: [{name: a.example.org}]
certificate: {email: own@example.org}
"""
FIRST = """certificate: {email: first@example.org, administrators: first@example.org, ping: /first}
sync: {account: first}
resources:
  - directory: /srv/first
"""
SECOND = """certificate: {email: second@example.org, ping: /second}
resources:
  - directory: /srv/second
"""


def write(folder: Path, own: str = OWN, first: str = FIRST, second: str = SECOND) -> Path:
    (folder / "common").mkdir(exist_ok=True)
    (folder / "common" / "first.yaml").write_text(first)
    (folder / "common" / "second.yaml").write_text(second)
    path = folder / "e.yaml"
    path.write_text(own)
    return path


def problems(path: Path) -> list[str]:
    with pytest.raises(InvalidEnvironment) as caught:
        load(str(path))
    return [str(each).removeprefix(f"{path.parent}/") for each in caught.value.problems]


def test_the_files_own_counts_and_then_what_is_named_last(tmp_path: Path) -> None:
    made = load(str(write(tmp_path)))
    certificate = made.certificate
    assert (certificate.email, certificate.administrators, certificate.ping) == (
        "own@example.org", "first@example.org", "/second",
    )  # fmt: skip
    assert made.sync.account == "first"
    assert [str(each.ref) for each in made.resources] == ["a.example.org directory /srv/second"], "one list"
    assert str(made.resources[0].place) == f"{tmp_path}/common/second.yaml:3:5"


def test_what_was_included_is_known_by_its_sum_and_is_a_part_of_the_text(tmp_path: Path) -> None:
    path = write(tmp_path)
    made = load(str(path))
    assert made.sources == {
        f"common/{name}.yaml": hashlib.sha256(text.encode()).hexdigest()
        for name, text in (("first", FIRST), ("second", SECOND))
    }
    (tmp_path / "common" / "second.yaml").write_text("{}")
    assert load(str(path)).digest != made.digest
    (tmp_path / "common" / "first.yaml").unlink()
    again = load(str(path), made.text)
    for field in dataclasses.fields(made):
        if field.name not in ("sources", "resources", "hosts"):  # these have places
            assert getattr(again, field.name) == getattr(made, field.name)
    assert [each.ref for each in again.resources] == [each.ref for each in made.resources]


def test_a_mistake_is_told_with_the_file_and_the_line_where_it_is(tmp_path: Path) -> None:
    path = write(tmp_path, first=FIRST + "  - directory: srv\n", second="sync: {acount: x}\nsync: {}\n")
    assert problems(path) == ['common/second.yaml:2:1: the key "sync" is here twice; the first is in line 1']
    path = write(tmp_path, first="services:\n  tomcat: 9\n", second="sync: {acount: x}\n")
    found = problems(path)
    assert [each.split(": ")[0] for each in found] == ["common/first.yaml:2:11", "common/second.yaml:1:8"]
    assert 'did you mean "account"?' in found[1]


@pytest.mark.parametrize(
    ("named", "why"),
    [
        ("../e.yaml", "is not below"),
        ("common/none.yaml", "cannot be read: No such file or directory"),
        ("common", "is not a regular file"),
    ],
)
def test_only_a_file_below_the_folder_is_included(tmp_path: Path, named: str, why: str) -> None:
    (tmp_path / "e.yaml").write_text("{}")
    (tmp_path / "sub").mkdir()
    path = write(tmp_path / "sub", OWN.replace("common/second.yaml", named))
    (said,) = problems(path)
    assert said.startswith("e.yaml:3:30: ")
    assert why in said


@pytest.mark.parametrize("second", ["include: [first.yaml]\n", "- a\n", "text\n"])
def test_what_is_included_is_keys_with_values_and_includes_nothing(tmp_path: Path, second: str) -> None:
    path = write(tmp_path, second=second)
    (said,) = problems(path)
    assert said.startswith("common/second.yaml:1:")
    assert said.endswith("a file that is included has keys with values, and includes none itself")


def test_a_list_of_files_is_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path, OWN.replace("[common/first.yaml, common/second.yaml]", "common/first.yaml"))
    assert problems(path) == ["e.yaml:3:10: `include:` is a list of files, such as `- common/hosts.yaml`"]


def test_stage_and_prod_say_only_how_they_differ() -> None:
    for name in ("stage", "prod"):
        path = ROOT / "environments" / f"{name}.yaml"
        own = {
            line.partition(":")[0]
            for line in path.read_text(encoding="utf-8").splitlines()
            if line[:1].isalpha()
        }
        assert own == {"version", "environment", "router", "include", "hosts", "services"}
        assert load(str(path)).sync.account == "rsync_user"
