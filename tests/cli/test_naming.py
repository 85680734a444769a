"""How hosts and resources are named on the command line."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import pytest

from reconciler.cli import naming
from reconciler.cli.naming import Unmatched
from reconciler.model import Ref, Resource, State
from tests.support.scripted import Thing
from tests.support.workplace import Scene, two_hosts

HOSTS = ["cn-1.example.org", "cn-2.example.org", "db.example.org", "db.example.net"]
MOTD, CRON, STAR, WEB, DB = REFS = [
    Ref("cn-1.example.org", "file", "/etc/motd"),
    Ref("cn-1.example.org", "file", "/etc/cron.d/x y"),
    Ref("cn-2.example.org", "file", "/etc/*"),
    Ref("cn-2.example.org", "service", "apache2"),
    Ref("db.example.org", "service", "postgresql@15-main"),
]


@pytest.mark.parametrize(
    ("texts", "left"),
    [
        (["cn-1.example.org"], HOSTS[:1]),
        (["cn-1"], HOSTS[:1]),
        (["cn-*"], HOSTS[:2]),
        (["cn-?.example.org", "db.example.net"], [*HOSTS[:2], HOSTS[3]]),
        (["db.*"], HOSTS[2:]),
        (["*.net"], HOSTS[3:]),
        (["!cn-1"], HOSTS[1:]),
        (["cn-*", "!cn-[2-9]"], HOSTS[:1]),
        (["!db.example.org", "db.*"], HOSTS[3:]),
    ],
)
def test_a_host_by_its_name_its_first_label_a_pattern_or_without_others(
    texts: list[str], left: list[str]
) -> None:
    assert naming.hosts(texts, HOSTS) == set(left)


@pytest.mark.parametrize(
    ("texts", "left"),
    [
        (["web"], HOSTS[:2]),
        (["!web"], HOSTS[2:]),
        (["web", "!cn-1", "db.*"], HOSTS[1:]),
    ],
)
def test_a_group_is_its_hosts(texts: list[str], left: list[str]) -> None:
    assert naming.hosts(texts, HOSTS, {"web": HOSTS[:2], "cn": HOSTS[2:]}) == set(left)


def test_a_group_that_is_not_there_is_answered_with_those_that_are() -> None:
    said = f"--host webb: no such host; known: {', '.join(sorted(HOSTS))}; groups: cn, web; did you mean web?"
    with pytest.raises(Unmatched, match=f"^{re.escape(said)}$"):
        naming.hosts(["webb"], HOSTS, {"web": HOSTS[:2], "cn": HOSTS[2:]})


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (
            ["db"],
            (
                "--host db: db is the short name of several hosts: db.example.net, db.example.org;"
                " write one of them"
            ),
        ),
        (["cn-11"], f"--host cn-11: no such host; known: {', '.join(sorted(HOSTS))}; did you mean cn-1?"),
        (["!web*"], f"--host !web*: no such host; known: {', '.join(sorted(HOSTS))}"),
        (["cn-1", "xyz"], f"--host xyz: no such host; known: {', '.join(sorted(HOSTS))}"),
        (["cn-1", "!cn-*"], "--host cn-1 --host !cn-*: excludes everything"),
    ],
)
def test_what_names_no_host_says_which_there_are(texts: list[str], said: str) -> None:
    with pytest.raises(Unmatched, match=f"^{re.escape(said)}$"):
        naming.hosts(texts, HOSTS)


@pytest.mark.parametrize(
    ("texts", "left"),
    [
        (["cn-1.example.org file /etc/motd"], [MOTD]),
        (["cn-1 file:/etc/motd"], [MOTD]),
        (["file /etc/motd"], [MOTD]),
        (["file:/etc/cron.d/x y"], [CRON]),
        (["cn-1 file /etc/cron.d/x y"], [CRON]),
        (["file"], [MOTD, CRON, STAR]),
        (["file:"], [MOTD, CRON, STAR]),
        (["file:/etc/m*"], [MOTD]),
        (["file /etc/*"], [STAR]),  # there is one of this very name
        (["cn-1 file /etc/*"], [MOTD, CRON]),
        (["cn-2 service"], [WEB]),
        (["cn-* service"], [WEB]),
        (["* service"], [WEB, DB]),
        (["db.example.org *"], [DB]),
        (["s*:post*"], [DB]),
        (["!file"], [WEB, DB]),
        (["service", "!db.example.org service"], [WEB]),
        (["!cn-1 file"], [STAR, WEB, DB]),
    ],
)
def test_a_resource_by_host_kind_and_name(texts: list[str], left: list[Ref]) -> None:
    assert naming.resources("--only", texts, REFS) == set(left)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("servic", "--only servic: no resource matches; kinds: file, service; did you mean service?"),
        ("!nothing", "--only !nothing: no resource matches; kinds: file, service"),
        (
            "cn-1",
            (
                "--only cn-1: no resource matches; kinds: file, service;"
                " cn-1 is a host: `--host cn-1`, or HOST KIND NAME"
            ),
        ),
        (
            "cn-2 service apache",
            (
                "--only cn-2 service apache: no resource matches; expected HOST KIND NAME, as the plan prints"
                " it; nearest:"
            ),
        ),
    ],
)
def test_what_names_no_resource_says_what_there_is(text: str, said: str) -> None:
    with pytest.raises(Unmatched) as raised:
        naming.resources("--only", [text], REFS)
    assert raised.value.lines[0] == said
    assert len(raised.value.lines) == 1 or raised.value.lines[1] == f"    {WEB}"


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("cn-1 file:/e", [CRON, MOTD]),  # they begin so
        ("cn-2 file /etc/cron.d/x y", [CRON]),  # it is on another host
        ("service p", [DB]),
        ("service apche2", [WEB]),
        ("cn-2.example.org servce apache", [WEB, STAR]),  # nothing of other hosts
    ],
)
def test_the_nearest_resources_come_first(text: str, near: list[Ref]) -> None:
    assert naming.nearest(text, REFS)[: len(near)] == near


def test_what_is_on_every_host_is_named_once_and_only_what_is_of_the_kind() -> None:
    refs = [Ref(host, kind, "/etc/motd") for host in ("a", "b") for kind in ("file", "files")]
    assert naming.nearest("file /etc/motdd", refs) == refs[:1]


def test_the_short_name_of_two_hosts_names_no_resource_either() -> None:
    refs = [*REFS, Ref("db.example.net", "file", "/x")]
    for expression in ("db service", "db file /x"):
        with pytest.raises(Unmatched, match="db is the short name of several hosts"):
            naming.resources("--only", [expression], refs)


def test_one_resource_is_named_or_all_that_may_be_meant_are() -> None:
    assert naming.one("file:/etc/m*", REFS) == MOTD
    with pytest.raises(Unmatched) as raised:
        naming.one("file", REFS)
    assert raised.value.lines == (
        "file: 3 resources match; say which one (--host, or HOST KIND NAME):",
        *(f"    {ref}" for ref in (CRON, MOTD, STAR)),
    )
    many = [Ref("a", "file", f"/{number}") for number in range(7)]
    with pytest.raises(Unmatched) as raised:
        naming.one("file:/?", many)
    assert len(raised.value.lines) == 7
    assert raised.value.lines[-1] == "    and 2 more"
    with pytest.raises(Unmatched, match="no resource matches"):
        naming.one("!file:/1", many)


@pytest.fixture
def world() -> Scene:
    return two_hosts()


@pytest.mark.parametrize("command", ["plan", "drift", "observe", "graph"])
@pytest.mark.parametrize("flags", [["--only", "a thing *"], ["--host", "!b"], ["--only", "!b thing"]])
def test_every_command_takes_the_same_spelling(
    command: str, flags: list[str], world: Scene, capsys: pytest.CaptureFixture
) -> None:
    world.run([command, "e", *flags, "--json"])
    out = capsys.readouterr().out
    assert '"a"' in out
    assert '"b"' not in out
    world.run(["explain", "e", "a thing:/*"])
    assert capsys.readouterr().out.startswith("+ a thing /x")


def test_a_narrowed_plan_says_by_which_expressions(world: Scene, capsys: pytest.CaptureFixture) -> None:
    assert world.run(["plan", "e", "--host", "!b", "--only", "th*"]) == 0
    assert capsys.readouterr().out.endswith("Only a part of e was looked at (--host !b --only th*).\n")
    assert world.run(["apply", "e", "--host", "?", "--only", "!b thing", "--yes"]) == 0
    assert (world["a"].things, world["b"].things) == ({"/x": "new"}, {})


def test_flags_that_leave_nothing_in_common(world: Scene, capsys: pytest.CaptureFixture) -> None:
    assert world.run(["plan", "e", "--host", "a", "--only", "b thing"]) == 64
    assert capsys.readouterr().err == (
        "--host a --only b thing: no resource matches both; what --only names is on b\n"
    )


def test_what_is_replaced_is_named_likewise(world: Scene, capsys: pytest.CaptureFixture) -> None:
    for text, said in (
        ("thing", "--replace thing: only `--replace certificate` is possible"),
        ("a thing:/x", "--replace a thing:/x: only `--replace certificate` is possible"),
        ("thng", "--replace thng: no resource matches; kinds: thing; did you mean thing?"),
    ):
        assert world.run(["plan", "e", "--replace", text]) == 64
        assert capsys.readouterr().err == f"{said}\n"


@dataclass(frozen=True, kw_only=True)
class Replaceable(Thing):
    """A thing that `--replace` takes."""

    kind: ClassVar[str] = "certificate"

    def replacement(self, seen: State) -> Resource:
        return replace(self, value=f"not {seen['value']}")


def test_what_is_replaced_is_so_in_a_plan_from_a_saved_observation(
    world: Scene, capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    assert world.environment is not None
    things = tuple(Replaceable(host=name, label="/x") for name in ("a", "b"))
    world.environment = replace(world.environment, resources=things)
    world["a"].things["/x"] = world["b"].things["/x"] = "new"
    seen = str(tmp_path / "seen.json")
    assert world.run(["observe", "e", "-o", seen]) == 0
    for from_file in (["--seen", seen], []):
        for what, code in (([], 0), (["--replace", "a certificate"], 2)):
            assert world.run(["plan", "e", *from_file, *what, "--detailed-exitcode"]) == code
        assert '"not new"' in capsys.readouterr().out
    assert world.run(["plan", "e", "--seen", seen, "--replace", "nothing"]) == 64
