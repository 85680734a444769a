"""The environment file: every mistake named, with its place, all at once.

`cases/environment/NAME.yaml` is a bad file; the lines of `NAME.expected` are what is said of
it. Adding a case is adding two files.
"""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler import blueprint
from reconciler.environment.load import InvalidEnvironment, check_whole, find, load
from reconciler.environment.schema import environment_schema
from reconciler.kinds import DECLARABLE
from reconciler.model import Ref
from tests import CASES, ROOT
from tests.support.schemas import committed

CASES = CASES / "environment"
GOOD = """\
environment: e
router: r.example.org
hosts:
  - name: cn-1.example.org
    primary: true
  - name: cn-2.example.org
"""


def problems(path: Path | str) -> list[str]:
    """What `validate` would say, without the file's name."""
    try:
        environment = load(str(path))
        check_whole(environment, blueprint.resources(environment))
    except InvalidEnvironment as error:
        return [str(each).removeprefix(f"{path}:") for each in error.problems]
    return []


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "e.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize("name", sorted(path.stem for path in CASES.glob("*.yaml")))
def test_case(name: str) -> None:
    expected = (CASES / f"{name}.expected").read_text(encoding="utf-8").splitlines()
    kinds = ", ".join(kind.kind for kind in DECLARABLE)
    found = [
        each.replace(str(CASES), "CASES").replace(kinds, "KINDS") for each in problems(CASES / f"{name}.yaml")
    ]
    assert found == expected


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "1:1: the file is empty"),
        (b"# only this\n", "1:1: the file is empty"),
        (b"environment: \xff\n", "1:14: the byte 0xff is not UTF-8; save the file as UTF-8"),
        (b"a:\n\tb: 1\n", "2:1: a tab cannot indent or separate in YAML; use spaces"),
        (b"a: \x00\n", "1:4: not YAML:"),
        (b"a: [1\n", "2:1: not YAML:"),
        (b"- a\n- b\n", "1:1: the file: this is not keys with values"),
        (b"text", '1:1: the file: "text" is not keys with values'),
        (b"a: 1\n---\nb: 2\n", "3:1: a second document begins here; one file is one environment"),
        (b"a: !!python/object:os.system x\n", "1:4: the tag !!python/object:os.system is not supported"),
        (b"a: !x y\n", "1:4: the tag !x is not supported"),
        (b"a: &a [*a]\n", "1:4: an alias that contains itself"),
        (b"a: " + b"[" * 60 + b"]" * 60, "1:53: nested more than 50 deep"),
        (b"? [1]\n: 2\n", "1:3: a key is a plain word"),
        (b"a: {<<: {b: 1}}\n", "1:5: merge keys (`<<`) are not supported; repeat the keys"),
        (b"a: b: c\n", "1:5: not YAML: mapping values are not allowed in this context"),
        (b"x" * (5 << 20), "1:1: is larger than 4 MB; that is no environment file"),
    ],
)
def test_what_is_no_environment_file_at_all(raw: bytes, said: str, tmp_path: Path) -> None:
    found = problems(write(tmp_path, raw))
    assert found
    assert any(each.startswith(said) for each in found), found


def test_endless_nesting_is_refused_wherever_the_scanner_stops(tmp_path: Path) -> None:
    (found,) = problems(write(tmp_path, b"a: " + b"[" * 100_000))
    assert found.startswith("1:")
    assert found.endswith(": nested more than 50 deep")


def test_an_alias_bomb_is_not_followed(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    (said,) = problems(write(tmp_path, "\n".join(lines)))
    assert "the aliases of this file come to more than 200000 values" in said


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    assert problems(tmp_path) == ["1:1: is a directory; name the YAML file in it"]
    assert problems(tmp_path / "none.yaml") == ["1:1: cannot be read: No such file or directory"]


def test_a_name_is_looked_up_and_an_unknown_one_lists_the_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert find("stage") == "environments/stage.yaml"
    assert find("x/y.yaml") == "x/y.yaml"
    with pytest.raises(InvalidEnvironment) as caught:
        find("stagee")
    assert "known: prod, stage" in str(caught.value)


@pytest.mark.parametrize("name", ["stage", "prod"])
def test_the_environments_of_this_repository_are_valid(name: str) -> None:
    path = ROOT / "environments" / f"{name}.yaml"
    assert problems(path) == []
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first == "# yaml-language-server: $schema=../schemas/environment.schema.json"


def test_the_committed_schema_is_the_generated_one() -> None:
    assert committed("environment") == environment_schema(), "run `make schemas`"


def test_every_option_is_described() -> None:
    schema = environment_schema()
    for kind in DECLARABLE:
        for name, each in schema["$defs"][kind.kind]["properties"].items():
            assert each.get("description"), (kind.kind, name)


def test_a_resource_is_made_for_the_hosts_it_names_with_its_place(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        GOOD
        + """\
blueprint: false
resources:
  - file: /a
    content: x
    hosts: [replicas]
  - service: cron
    hosts: [primary]
    needs: ["cn-2.example.org file /a", "package cron"]
  - package: cron
""",
    )
    environment = load(str(path))
    assert [(str(each.ref), each.place and each.place.line) for each in environment.resources] == [
        ("cn-2.example.org file /a", 9),
        ("cn-1.example.org service cron", 12),
        ("cn-1.example.org package cron", 15),
        ("cn-2.example.org package cron", 15),
    ]
    assert environment.resources[1].needs == (
        Ref("cn-2.example.org", "file", "/a"),
        Ref("cn-1.example.org", "package", "cron"),
    )


def test_templates_sources_and_secrets_come_from_files_beside_it(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("$host of $environment behind $router costs $$5\n")
    (tmp_path / "s").write_text("as it is: $host\n")
    (tmp_path / "v").write_text("hush\n")
    text = (
        GOOD
        + "resources:\n  - {file: /t, template: t, hosts: [primary]}\n  - {file: /s, source: s, hosts: [primary]}\n"
        "  - {property: /p, key: k, value_file: v, hosts: [primary]}\n"
    )
    template, source, secret = (
        dataclasses.asdict(each) for each in load(str(write(tmp_path, text))).resources
    )
    assert template["content"] == "cn-1.example.org of e behind r.example.org costs $5\n"
    assert source["content"] == "as it is: $host\n"
    assert (secret["value"], secret["secret"]) == ("hush", True)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"$nobody", "the template has $nobody, which is not one of account, environment, host, hosts"),
        (b"5 $ more", "the template has a `$` that begins no name"),
        (b"a\n\xff", "line 2: not UTF-8"),
        (None, "cannot be read: No such file or directory"),
    ],
)
def test_a_bad_template_is_a_problem_with_the_place_that_names_it(
    content: bytes | None, said: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "t").write_bytes(content)
    found = problems(write(tmp_path, GOOD + "resources:\n  - file: /t\n    template: t\n"))
    assert found
    assert all(each.startswith("9:15: ") and said in each for each in found), found


def test_paths_are_relative_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    text = GOOD + "ssh: {identity: keys/id, known_hosts: ~/kh}\n"
    ssh = load(str(write(tmp_path, text))).ssh
    assert ssh.identity == str(tmp_path / "keys" / "id")
    assert ssh.known_hosts == "/home/me/kh"


def test_a_single_host_is_the_primary_and_may_be_the_router(tmp_path: Path) -> None:
    text = "environment: e\nrouter: one.example.org\nhosts: [{name: one.example.org}]\n"
    environment = load(str(write(tmp_path, text)))
    assert environment.primary.name == "one.example.org"


def test_without_the_blueprint_it_is_any_fleet(tmp_path: Path) -> None:
    text = "environment: e\nhosts: [{name: a.example.org}, {name: b.example.org}]\n"
    missing = ['1:1: "router" is missing', "2:8: no primary: mark the host on which certbot runs with"]
    found = problems(write(tmp_path, text))
    assert len(found) == 2
    assert all(each.startswith(want) for each, want in zip(found, missing, strict=True)), found
    text += "blueprint: false\nresources: [{file: /t, template: t, hosts: [replicas]}]\n"
    (tmp_path / "t").write_text("one of $hosts")
    environment = load(str(write(tmp_path, text)))
    assert [each.ref.host for each in environment.resources] == ["a.example.org", "b.example.org"]
    (tmp_path / "t").write_text("beside $primary")
    (found,) = problems(write(tmp_path, text.replace("replicas", "a.example.org")))
    assert "the template has $primary, which is not one of account, environment, host, hosts" in found


TWICE = (
    "x on 1 is here already, in line 4: the second paragraph of a port is for another certificate, with the other"
    " kind of key"
)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("", TWICE),
        ("certificate: {manage: false}\n", "it uses the certificate, and none is managed here"),
        ("  # x", "tomcat10 is one of the node's own services: see `services:`, and its switches"),
        ("blueprint: false\n", "it uses the certificate, and none is managed here"),
    ],
)
def test_what_no_consumer_can_be_is_a_problem(more: str, said: str, tmp_path: Path) -> None:
    text = "environment: e\nrouter: r.example.org\nhosts: [{name: a.example.org}]\n"
    text += "consumers: [{unit: x, port: 1},\n {unit: x, port: 1}, {unit: x, port: 2, hosts: [b]},\n {unit: tomcat10, port: 3}]\n"
    found = problems(write(tmp_path, text + more))
    assert "5:49: there is no host or group b (known: a.example.org, primary, replicas)" in found
    assert any(each.endswith(f": {said}") for each in found), found


@given(st.binary(max_size=200))
def test_no_bytes_make_anything_but_a_list_of_problems(raw: bytes) -> None:
    path = Path(os.environ.get("TMPDIR", "/tmp")) / f"reconcile-{os.getpid()}.yaml"
    try:
        path.write_bytes(raw)
        assert problems(path)
    finally:
        path.unlink()


@given(st.data())
def test_no_mutation_of_a_good_file_makes_anything_but_a_list_of_problems(data: st.DataObject) -> None:
    good = (
        GOOD
        + "ssh: {port: 22}\nresources:\n  - file: /a\n    mode: '0644'\n  - acl: /a\n    entries: ['user:a:r--']\n"
    )
    words = [
        "x",
        "[]",
        "{}",
        "null",
        "true",
        "1",
        "-1",
        "''",
        "/x",
        "[1]",
        "{a: b}",
        "*a",
        "&a x",
        "!t x",
        "- ",
        ": ",
        "\n",
        " ",
    ]
    text = good
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        length = data.draw(st.integers(0, 12))
        text = text[:at] + data.draw(st.sampled_from(words)) + text[at + length :]
    path = Path(os.environ.get("TMPDIR", "/tmp")) / f"reconcile-{os.getpid()}.yaml"
    try:
        path.write_text(text)
        problems(path)
    finally:
        path.unlink()


@pytest.mark.parametrize("path", ["/a/../b", "/a/.", "/..", "/./a"])
@pytest.mark.parametrize("place", ["directory", "client_ca"])
def test_a_path_has_one_spelling(path: str, place: str) -> None:
    own = (
        f"resources: [{{directory: {path}}}]" if place == "directory" else f"services: {{client_ca: {path}}}"
    )
    with pytest.raises(InvalidEnvironment, match=r"without `\.` or"):
        load("e.yaml", f"environment: e\nrouter: r.a\nhosts: [{{name: a.b}}]\n{own}\n".encode())
