"""Every wanted state of a path against every state it may be in, on a real shell."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from reconciler.kinds.acl import Acl
from reconciler.kinds.directory import Directory
from reconciler.kinds.file import File
from reconciler.kinds.property import Property
from reconciler.kinds.symlink import Symlink
from reconciler.model import Resource
from tests.support.local import HOST, NEEDS_ACL, plan, settle

pytestmark = [
    pytest.mark.one_python,
    pytest.mark.skipif(os.geteuid() != 0, reason="changes owners: needs root"),
]


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def _with_acl(path: Path) -> None:
    path.write_text("old\n")
    subprocess.run(["setfacl", "-m", "u:daemon:r--", path], check=True)


def _owned(path: Path) -> None:
    path.write_text("right\n")
    os.chown(path, 1, 1)
    path.chmod(0o600)


def _full(path: Path) -> None:
    path.mkdir()
    (path / "inside").write_text("precious\n")


def _elsewhere(path: Path) -> None:
    (path.parent / "elsewhere").mkdir()
    path.symlink_to(path.parent / "elsewhere")


def _link(target: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(target)


SEEN: dict[str, Callable[[Path], object]] = {
    "nothing": lambda path: None,
    "the right file": lambda path: path.write_text("right\n"),
    "another file": lambda path: path.write_text("other\n"),
    "an empty file": lambda path: path.write_text(""),
    "a file of another owner": _owned,
    "a file with an ACL": _with_acl,
    "a properties file": lambda path: path.write_text("# c\nother = 1\nkey: old\\\n  more\nkey=again"),
    "an empty directory": lambda path: path.mkdir(),
    "a full directory": _full,
    "a setgid directory": lambda path: (path.mkdir(), path.chmod(0o2775)),
    "the right link": _link("/etc/hostname"),
    "another link": _link("/etc/passwd"),
    "a dangling link": lambda path: path.symlink_to(path.parent / "gone"),
    "a link to a directory": _elsewhere,
    "a pipe": _fifo,
    "a socket": _socket,
}
WANTED: dict[str, Callable[[str], Resource]] = {
    "file": lambda path: File(host=HOST, path=path, content="right\n"),
    "file with all": lambda path: File(
        host=HOST, path=path, content="right\n", mode="0640", owner="daemon", group="adm"
    ),
    "file's mode": lambda path: File(host=HOST, path=path, mode="0600"),
    "secret file": lambda path: File(host=HOST, path=path, content="right\n", secret=True),
    "checked file": lambda path: File(host=HOST, path=path, content="right\n", check="grep -q right {}"),
    "no file": lambda path: File(host=HOST, path=path, absent=True),
    "directory": lambda path: Directory(host=HOST, path=path, mode="0755"),
    "setgid directory": lambda path: Directory(host=HOST, path=path, mode="2770", group="adm"),
    "no directory": lambda path: Directory(host=HOST, path=path, absent=True),
    "link": lambda path: Symlink(host=HOST, path=path, target="/etc/hostname"),
    "no link": lambda path: Symlink(host=HOST, path=path, absent=True),
    "acl": lambda path: Acl(host=HOST, path=path, entries=("user:daemon:r-x",)),
    "no acl": lambda path: Acl(host=HOST, path=path, entries=("user:daemon:r-x",), absent=True),
    "property": lambda path: Property(host=HOST, path=path, key="key", value="new value"),
    "no property": lambda path: Property(host=HOST, path=path, key="key", absent=True),
    "secret property": lambda path: Property(host=HOST, path=path, key="key", value="hush", secret=True),
}


def _contents(folder: Path) -> set[bytes]:
    found: set[bytes] = set()
    for each in folder.rglob("*"):
        if each.is_symlink():
            found.add(str(each.readlink()).encode())
        elif each.is_file():
            found.add(each.read_bytes())
    return found


def _marked(states: Iterable[str]) -> list[ParameterSet]:
    return [pytest.param(name, marks=[NEEDS_ACL] if "acl" in name.lower() else []) for name in states]


@pytest.mark.parametrize("wanted", _marked(WANTED))
@pytest.mark.parametrize("seen", _marked(SEEN))
def test_applied_then_settled_or_refused_and_nothing_is_lost(seen: str, wanted: str, tmp_path: Path) -> None:
    path = tmp_path / "it"
    SEEN[seen](path)
    before = _contents(tmp_path)
    resource = WANTED[wanted](str(path))

    report = settle(resource)

    results = {each.result for each in report.outcomes}
    again = plan(resource)
    if results <= {"done"}:
        assert again.actions == ()
    else:
        assert results <= {"failed", "skipped"}, report.outcomes
        assert all(each.detail for each in report.outcomes)
    moved = ("no " not in wanted and "file" in wanted) or wanted in ("directory", "link")
    if moved and SEEN[seen] is _full:
        assert b"precious\n" in _contents(tmp_path)
    if seen == "a full directory":
        assert b"precious\n" in _contents(tmp_path), "what nobody declared is kept"
    assert not list(tmp_path.glob("*.reconcile-new")), "nothing half-made is left"
    if not results & {"done"}:
        assert _contents(tmp_path) >= before


def test_a_removal_of_another_type_is_refused_and_names_it(tmp_path: Path) -> None:
    (tmp_path / "it").mkdir()
    report = settle(File(host=HOST, path=str(tmp_path / "it"), absent=True))
    assert [(o.result, o.detail) for o in report.outcomes] == [
        ("skipped", f"{tmp_path}/it is a directory, not a file; remove it by hand if it is not needed")
    ]


def test_a_file_in_the_way_of_a_link_is_kept_under_a_dated_name(tmp_path: Path) -> None:
    (tmp_path / "it").write_text("precious\n")
    settle(Symlink(host=HOST, path=str(tmp_path / "it"), target="/etc/hostname"))
    (kept,) = (each for each in tmp_path.iterdir() if each.is_file() and not each.is_symlink())
    assert kept.read_text() == "precious\n"
    assert (tmp_path / "it").readlink() == Path("/etc/hostname")


@pytest.mark.parametrize(
    "seen", ["a full directory", "another link", "a link to a directory", "a dangling link"]
)
@pytest.mark.parametrize("wanted", ["file", "secret file"])
def test_a_directory_or_a_link_in_the_way_is_refused_and_stays(
    seen: str, wanted: str, tmp_path: Path
) -> None:
    SEEN[seen](tmp_path / "it")
    before = sorted(tmp_path.rglob("*"))
    (outcome,) = settle(WANTED[wanted](str(tmp_path / "it"))).outcomes
    assert outcome.result == "skipped"
    assert "others may be using it" in outcome.detail
    assert sorted(tmp_path.rglob("*")) == before


def test_a_directory_on_another_disk_is_kept_where_a_link_leads_to_it(tmp_path: Path) -> None:
    _elsewhere(tmp_path / "it")
    (tmp_path / "elsewhere" / "inside").write_text("precious\n")
    wanted = Directory(host=HOST, path=str(tmp_path / "it"), mode="2770", group="adm")
    (outcome,) = settle(wanted).outcomes
    assert outcome.result == "done"
    assert (tmp_path / "it").is_symlink()
    assert (tmp_path / "it" / "inside").read_text() == "precious\n"
    assert f"{(tmp_path / 'elsewhere').stat().st_mode & 0o7777:04o}" == "2770"
    assert plan(wanted).actions == ()


def test_a_link_that_is_not_roots_is_not_followed(tmp_path: Path) -> None:
    _elsewhere(tmp_path / "it")
    os.lchown(tmp_path / "it", 65534, 65534)
    (outcome,) = settle(Directory(host=HOST, path=str(tmp_path / "it"), mode="2770")).outcomes
    assert outcome.result == "skipped"
    assert f"{(tmp_path / 'elsewhere').stat().st_mode & 0o7777:04o}" != "2770"


@NEEDS_ACL
def test_a_file_keeps_its_acl_when_its_content_is_replaced(tmp_path: Path) -> None:
    _with_acl(tmp_path / "it")
    settle(File(host=HOST, path=str(tmp_path / "it"), content="new"))
    shown = subprocess.run(
        ["getfacl", "-cp", str(tmp_path / "it")], capture_output=True, text=True, check=True
    ).stdout
    assert "user:daemon:r--" in shown


def test_a_failed_check_keeps_the_old_file_and_says_why(tmp_path: Path) -> None:
    path = tmp_path / "it"
    path.write_text("old")
    report = settle(
        File(host=HOST, path=str(path), content="new", check="echo 'line 3 is wrong' >&2; false {}")
    )
    assert path.read_text() == "old"
    assert report.outcomes[0].result == "failed"
    assert "line 3 is wrong" in report.outcomes[0].detail
    assert report.partial == ()


@NEEDS_ACL
def test_a_mask_that_cuts_an_entry_down_is_seen_and_mended(tmp_path: Path) -> None:
    path = tmp_path / "it"
    path.write_text("")
    path.chmod(0o600)
    acl = Acl(host=HOST, path=str(path), entries=("user:daemon:rw-",))
    settle(acl)
    path.chmod(0o600)
    (action,) = plan(acl).actions
    assert [(d.field, d.seen) for d in action.deltas] == [("user:daemon", "rw-, in effect ---")]
    settle(acl)
    assert plan(acl).actions == ()


def test_directory_bits_are_set_and_cleared(tmp_path: Path) -> None:
    path = tmp_path / "it"
    for mode in ("2775", "0755", "1777", "0700"):
        settle(Directory(host=HOST, path=str(path), mode=mode))
        assert f"{path.stat().st_mode & 0o7777:04o}" == mode


def test_a_directory_inside_a_setgid_directory_gets_the_mode_declared(tmp_path: Path) -> None:
    tmp_path.chmod(0o2775)
    inner = Directory(host=HOST, path=str(tmp_path / "it"), mode="0755")
    settle(inner)
    assert plan(inner).actions == ()
