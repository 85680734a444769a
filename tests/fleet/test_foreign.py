"""Root acts by path only where nobody else can change what the path leads to: on this machine's own folders."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.fleet import apply, foreign, script
from reconciler.kinds import KINDS
from reconciler.kinds.directory import Directory
from reconciler.kinds.file import File
from reconciler.kinds.property import Property
from reconciler.kinds.symlink import Symlink
from reconciler.model import CannotSee, quote
from reconciler.plan import planner
from reconciler.questions.finding import LeavesQuestion, LinesQuestion
from reconciler.questions.locations import folders, matching
from reconciler.questions.properties import PropertyQuestion
from reconciler.questions.tomcat import ConnectorsQuestion
from tests.discovery.surveys import ask
from tests.support.local import HOST, NEEDS_ACL, fleet, plan, settle
from tools import cases

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="acts as several accounts: needs root")

BIN, SYS = (pwd.getpwnam(name).pw_uid for name in ("bin", "sys"))
"""Two accounts of every Debian, each the only member of its group."""


@pytest.fixture
def top() -> Iterator[Path]:
    """A folder that only root can change, and that everybody can go through."""
    made = Path(tempfile.mkdtemp(dir="/var/lib"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def folder(path: Path, uid: int = 0, mode: int = 0o755, gid: int = 0) -> Path:
    path.mkdir()
    os.chown(path, uid, gid)
    path.chmod(mode)
    return path


def decided(*locations: str | Path) -> tuple[str, str]:
    """The uid as which something is done at some locations, and what is said of it."""
    words = " ".join(quote(str(each)) for each in locations)
    seen = " ".join(quote(each) for each in folders(map(str, locations)))
    script = f'{foreign.LIBRARY}\nlook_at_folders {seen}\ndecide {words}\nprintf "%s|%s" "$who" "$why"'
    done = subprocess.run(["sh", "-s"], input=script.encode(), capture_output=True, check=True, timeout=20)
    assert done.stderr == b""
    who, _, why = done.stdout.decode().partition("|")
    return who, why


def test_what_only_root_can_change_is_roots(top: Path) -> None:
    folder(top / "a b")
    folder(top / "a b" / "$x*")
    assert decided(top / "a b" / "$x*" / "new" / "deeper") == ("0", "")
    assert decided("/etc/passwd", "@/etc/passwd", "/bin/sh", "/.", "/etc/.") == ("0", "")


def test_a_folder_of_an_account_is_acted_in_as_that_account(top: Path) -> None:
    folder(top / "theirs", BIN)
    assert decided(top / "theirs") == ("0", "")  # its name is root's
    assert decided(top / "theirs" / "f") == (str(BIN), f"{top}/theirs can be written by bin")
    # Root's folder in it can be moved away, and another can be put there.
    folder(top / "theirs" / "roots")
    assert decided(top / "theirs" / "roots" / "f")[0] == str(BIN)
    folder(top / "theirs" / "roots" / "another", SYS)
    who, why = decided(top / "theirs" / "roots" / "another" / "f")
    assert (who, why.count("can be written by")) == ("-", 2)
    assert decided(top / "theirs" / "f", top / "g")[0] == str(BIN)


def test_the_members_of_a_group_that_can_write_count(top: Path) -> None:
    assert decided(folder(top / "its own", 0, 0o775, BIN) / "f")[0] == str(BIN)
    assert decided(folder(top / "both", SYS, 0o775, BIN) / "f")[0] == "-"
    assert decided(folder(top / "not", 0, 0o755, BIN) / "f")[0] == "0"
    # 65533 is nobody's group, and root's has only root.
    assert decided(folder(top / "empty", 0, 0o775, 65533) / "f")[0] == "0"
    assert decided(folder(top / "root", 0, 0o775, 0) / "f")[0] == "0"


def test_where_everybody_can_write_nothing_is_done(top: Path) -> None:
    assert decided(folder(top / "all", 0, 0o777) / "f") == ("-", f"{top}/all can be written by everybody")
    sticky = folder(top / "sticky", 0, 0o1777)
    assert decided(sticky / "f")[0] == "-"
    assert decided(folder(sticky / "roots") / "f") == ("0", "")
    assert decided(folder(sticky / "theirs", BIN) / "f")[0] == str(BIN)
    (sticky / "link").symlink_to(top)
    assert decided(sticky / "link" / "f")[0] == "-"


def test_a_uid_without_an_account_is_refused(top: Path) -> None:
    who, why = decided(folder(top / "odd", 64123) / "f")
    assert (who, why) == ("-", f"{top}/odd can be written by uid 64123, which is no account")


@NEEDS_ACL
def test_an_acl_counts_and_its_mask_does_not(top: Path) -> None:
    named = folder(top / "named")
    subprocess.run(["setfacl", "-m", "user:bin:rwx", named], check=True)
    assert decided(named / "f")[0] == str(BIN)
    wide = folder(top / "wide", 0, 0o755, SYS)
    subprocess.run(["setfacl", "-m", "user:bin:r-x,mask::rwx", wide], check=True)
    assert decided(wide / "f")[0] == "0"


def test_every_link_on_the_way_is_followed_as_the_kernel_does(top: Path) -> None:
    disk = folder(top / "disk")
    (top / "www").symlink_to("disk/../disk")
    assert decided(top / "www" / "f") == ("0", "")
    theirs = folder(top / "theirs", BIN)
    (theirs / "back").symlink_to(disk)
    (top / "way").symlink_to(theirs / "back")
    assert decided(top / "way") == ("0", "")
    assert decided(top / "way" / "f")[0] == str(BIN)
    assert decided(f"@{top}/way")[0] == str(BIN)
    assert decided(f"{top}/way/.")[0] == str(BIN)
    (top / "into").symlink_to("theirs")
    assert decided(top / "into" / "f")[0] == str(BIN)
    assert decided(f"{top}/into/.") == ("0", "")
    (top / "loop").symlink_to("loop")
    assert decided(top / "loop" / "f") == ("-", f"{top}/loop leads nowhere")


def test_a_step_runs_as_the_account_with_nothing_of_roots(top: Path) -> None:
    theirs = folder(top / "theirs", BIN, 0o700)
    command = f'id -un; cat; pwd; env; ls -l /proc/self/fd; grep -E "^(CapPrm|NoNew)" /proc/self/status; : >{theirs}/x'
    script = f"{foreign.LIBRARY}\nexec 9>>{top}/lock\nSECRET=x; export SECRET\n(\n{foreign.acting(command, (f'{theirs}/x',))}\n)"
    done = subprocess.run(
        ["sh", "-c", script], input=b"fed\n", capture_output=True, check=True, timeout=20, close_fds=True
    )
    said = done.stdout.decode()
    assert said.startswith("bin\nfed\n/\n")
    assert "SECRET" not in said
    assert "lock" not in said
    assert "CapPrm:\t0000000000000000\nNoNewPrivs:\t1\n" in said
    assert (theirs / "x").stat().st_uid == BIN


def test_what_is_refused_and_what_fails_says_why_with_its_code(top: Path) -> None:
    folder(top / "all", 0, 0o777)
    result = plan(File(host=HOST, path=f"{top}/all/f", content="x"))
    assert list(result.unknown.values()) == [
        f"not looked at as root: {top}/all can be written by everybody [foreign-folder]"
    ]
    folder(top / "theirs", BIN)
    (failed,) = settle(File(host=HOST, path=f"{top}/theirs/f", content="x", owner="root")).outcomes
    assert failed.result == "failed"
    assert "Operation not permitted" in failed.detail
    assert (
        f"this ran as bin, not as root: {top}/theirs can be written by bin [foreign-folder]" in failed.detail
    )


def test_a_folder_given_away_between_plan_and_apply_is_found_out(top: Path) -> None:
    folder(top / "a")
    resource = File(host=HOST, path=f"{top}/a/f", content="x", owner="root")
    with fleet([resource]) as here:
        approved = here.plan()
        (top / "a").chmod(0o777)
        (outcome,) = apply.apply(here, approved).outcomes
    assert outcome.result == "failed"
    assert outcome.detail == f"not done as root: {top}/a can be written by everybody [foreign-folder]"
    assert list((top / "a").iterdir()) == []


def test_kinds_settle_in_an_accounts_folder_and_all_is_the_accounts(top: Path) -> None:
    theirs = folder(top / "theirs", BIN)
    resources = [
        Directory(host=HOST, path=f"{theirs}/d", owner="bin", mode="0750"),
        File(host=HOST, path=f"{theirs}/d/f", content="x\n", mode="0640"),
        Symlink(host=HOST, path=f"{theirs}/d/l", target="/etc/shadow"),
        Property(host=HOST, path=f"{theirs}/d/p", key="k", value="v"),
    ]
    assert {each.result for each in settle(*resources).outcomes} == {"done"}
    assert plan(*resources).actions == ()
    assert {each.lstat().st_uid for each in (theirs / "d", *(theirs / "d").iterdir())} == {BIN}


def test_what_an_account_links_to_is_read_with_its_own_rights(top: Path) -> None:
    (top / "secret").write_text("k=root's own\n")
    (top / "secret").chmod(0o600)
    theirs = folder(top / "theirs", BIN)
    (theirs / "p").symlink_to(top / "secret")
    with fleet([Property(host=HOST, path=f"{theirs}/p", key="k", value="v")]) as here:
        assert "root's own" not in repr(here.sight)
        assert isinstance(next(iter(here.sight.seen.values())), CannotSee)


def test_a_pipe_makes_one_account_wait_and_not_the_look(top: Path) -> None:
    theirs = folder(top / "theirs", BIN)
    os.mkfifo(theirs / "p", 0o666)
    (top / "f").write_text("x")
    resources = [
        Property(host=HOST, path=f"{theirs}/p", key="k", value="v"),
        File(host=HOST, path=f"{top}/f", content="x"),
    ]
    result = plan(*resources)
    assert [ref.kind for ref in result.unknown] == ["property"]
    assert result.actions == ()


def test_a_pattern_is_whose_its_matches_are_and_whose_could_come_to_match(top: Path) -> None:
    folder(top / "a")
    assert decided(f"?{top}/a/*/conf.d/*.conf") == ("0", "")
    folder(top / "a" / "one")
    assert decided(f"?{top}/a/*/conf.d/*.conf") == ("0", "")
    folder(top / "a" / "their's $x", BIN)
    assert decided(f"?{top}/a/*/conf.d/*.conf")[0] == str(BIN)
    folder(top / "a" / "another", SYS)
    assert decided(f"?{top}/a/*/conf.d/*.conf")[0] == "-"
    folder(top / "b")
    folder(top / "b" / "x\n755 0 0 \n", BIN)
    assert decided(f"?{top}/b/*/f")[0] == "-"
    folder(folder(top / "d[x]") / "theirs", BIN)
    assert decided(matching(f"{top}/d[x]/*/f"))[0] == str(BIN)
    (folder(top / "c") / "link").symlink_to(folder(top / "theirs", BIN))
    assert decided(f"?{top}/c/*/f")[0] == str(BIN)


def test_what_a_pattern_matches_is_read_as_its_owner(top: Path) -> None:
    (top / "secret").write_text("ssl = root's own\n")
    (top / "secret").chmod(0o600)
    theirs = folder(top / "theirs", BIN)
    (theirs / "a.conf").symlink_to(top / "secret")
    os.mkfifo(theirs / "b.conf", 0o666)
    (theirs / "c.conf").write_text("ssl = theirs\n")
    leaves, lines = LeavesQuestion(f"{theirs}/*.conf"), LinesQuestion(f"{theirs}/*.conf", "^ssl")
    roots = LinesQuestion(f"{top}/s*", "^ssl")
    found = dict(zip((leaves, lines, roots), ask(leaves, lines, roots), strict=True))
    assert found[roots] == ((f"{top}/secret", "ssl = root's own"),)
    assert "root's own" not in repr((found[leaves], found[lines]))
    assert isinstance(found[lines], CannotSee)  # one of them is not for its owner to read
    (theirs / "a.conf").unlink()
    assert ask(lines) == [((f"{theirs}/c.conf", "ssl = theirs"),)]


def test_tomcats_file_is_read_with_the_rights_of_its_folders_owner(top: Path) -> None:
    (top / "secret").write_text('<Connector port="1234" />\n')
    (top / "secret").chmod(0o600)
    theirs = folder(top / "theirs", BIN)
    (theirs / "server.xml").symlink_to(top / "secret")
    assert [isinstance(each, CannotSee) for each in ask(ConnectorsQuestion(f"{theirs}/server.xml"))] == [True]
    os.mkfifo(theirs / "pipe", 0o666)
    assert [isinstance(each, CannotSee) for each in ask(ConnectorsQuestion(f"{theirs}/pipe"))] == [True]
    (found,) = ask(ConnectorsQuestion(f"{top}/secret"))
    assert [each.port for each in found] == ["1234"]


def test_a_file_of_any_size_takes_no_memory(top: Path) -> None:
    """It is its account's, in a folder of root's: it is looked at as root."""
    file = top / "p"
    file.touch()
    os.truncate(file, 700_000_000)
    os.chown(file, BIN, BIN)
    questions = (
        PropertyQuestion(str(file), "k"),
        PropertyQuestion(str(file), "k", "0" * 64),
        LinesQuestion(f"{top}/*", "k"),
    )
    assert [isinstance(each, CannotSee) for each in ask(*questions)] == [True] * 3


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_step_at_a_declared_path_goes_by_who_can_change_it(kind: str) -> None:
    """In all golden cases: what puts things back, too."""
    for case in (each for each in cases.cases(cases.FOLDER / f"{kind}.yaml") if cases.form(each) == "plan"):
        one = cases.resource(kind, case["declared"])
        seen = case["seen"]
        if isinstance(seen, dict) and "cannot see" in seen:
            continue
        paths = [getattr(one, name, None) for name in ("path", "home")]
        for action in planner.plan("test", [one], {one.ref: seen}, {}).actions:
            for step in (*action.steps, *action.rescue):
                # The table of filesystems names the paths, and is root's; `former` says itself as whom.
                text = "" if "/etc/fstab" in step.command or kind == "former" else step.command
                at = [path for path in paths if path and f" {quote(path)}" in text]
                assert step.where or not at, f"{case['case']}: {step.command}"


def test_what_becomes_roots_only_now_is_looked_at_again_before_root_acts_there(top: Path) -> None:
    """Its owner has put a link there after the look, while the folder was still theirs."""
    (top / "secret").write_text("root's own")
    (top / "secret").chmod(0o600)
    theirs = folder(top / "theirs", BIN)
    (theirs / "f").write_text("x")
    os.chown(theirs / "f", BIN, BIN)
    resources = [
        Directory(host=HOST, path=str(theirs), owner="root"),
        File(host=HOST, path=f"{theirs}/f", owner="root", mode="0666"),
    ]
    with fleet(resources) as here:
        actions = here.plan().actions
        assert [each.ref.kind for each in actions] == ["directory", "file"]
        (theirs / "f").unlink()
        (theirs / "f").symlink_to(top / "secret")
        reply = here.hosts[HOST].run(script.script(actions, (), "B" * 32), 15)
        assert [each.result for each in script.outcomes(actions, reply.output, "B" * 32, True)] == [
            "done",
            "skipped",
        ]
    assert (top / "secret").stat().st_mode & 0o777 == 0o600
    # In peace one apply does it.
    (theirs / "f").unlink()
    (theirs / "f").write_text("x")
    os.chown(theirs, BIN, BIN)
    os.chown(theirs / "f", BIN, BIN)
    assert [each.result for each in settle(*resources).outcomes] == ["done", "done"]
    assert plan(*resources).actions == ()
