"""Whatever the YAML says is data, and so is whatever a host sends: on a real shell."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reconciler.fleet import probe
from reconciler.kinds.acl import Acl
from reconciler.kinds.directory import Directory
from reconciler.kinds.file import File
from reconciler.kinds.keypair import Keypair
from reconciler.kinds.property import Property
from reconciler.kinds.service import Service
from reconciler.kinds.symlink import Symlink
from reconciler.kinds.tagged_lines import AuthorizedKeys
from reconciler.model import CannotSee, quote
from reconciler.questions.files import AclQuestion, StatQuestion, SumQuestion, TextQuestion, TreeQuestion
from reconciler.questions.system import CommandQuestion
from tests.support.local import HOST, NEEDS_ACL, fleet, plan, settle

pytestmark = [
    pytest.mark.one_python,
    pytest.mark.skipif(os.geteuid() != 0, reason="changes owners: needs root"),
]

NASTY = [
    "$(touch canary)",
    "`touch canary`",
    "'; touch canary; '",
    '"; touch canary; "',
    "a b",
    "a\\b",
    "-rf",
    "*",
    "~",
    "%s%n",
    "{}",
    "é…",
    "$HOME",
    "&& touch canary",
    "|touch canary",
    "a'b\"c",
    "#x",
    "!x",
    "\\",
    "a\\",
    "&",
    "/x/",
    "[a-z]",
    "^a$",
    "=",
    ":",
    " lead",
    "trail ",
]
words = st.one_of(
    st.sampled_from(NASTY),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=30),
)
names = words.map(lambda text: text.replace("/", "_")).filter(lambda text: len(text.encode()) < 200)
MANY = settings(max_examples=40)


@given(words)
@example("'")
@settings(max_examples=100)
def test_the_shell_gets_every_word_as_it_is(word: str) -> None:
    done = subprocess.run(
        ["sh", "-s"], input=f"printf %s {quote(word)}".encode(), capture_output=True, check=True
    )
    assert done.stdout == word.encode()


@given(names, words, words)
@MANY
def test_paths_contents_and_targets_land_as_they_are(name: str, content: str, target: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder) / f"d{name}"
        resources = [
            Directory(host=HOST, path=str(base)),
            File(host=HOST, path=f"{base}/f{name}", content=content),
            Symlink(host=HOST, path=f"{base}/l{name}", target=target),
        ]
        report = settle(*resources)
        assert {each.result for each in report.outcomes} == {"done"}, report.outcomes
        assert (base / f"f{name}").read_bytes() == content.encode()
        assert os.readlink(base / f"l{name}") == target
        assert plan(*resources).actions == ()
        assert sorted(each.name for each in Path(folder).iterdir()) == [f"d{name}"]
        assert len(list(base.iterdir())) == 2
    assert not Path("canary").exists()


@given(words.filter(lambda text: not any(char.isspace() for char in text)), words, words)
@example("a.b*c", "x/y&z\\", "old")
@MANY
def test_property_keys_and_values_land_as_they_are(key: str, old: str, new: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "p"
        path.write_bytes(b"# keep\r\n other : 1\\\n  2\nlast=\xff")
        before = path.read_bytes()
        for value in (old, new):
            resource = Property(host=HOST, path=str(path), key=key, value=value)
            report = settle(resource)
            assert {each.result for each in report.outcomes} <= {"done"}, report.outcomes
            assert plan(resource).actions == ()
        assert path.read_bytes().startswith(before + b"\n")
        settle(Property(host=HOST, path=str(path), key=key, absent=True))
        assert path.read_bytes() == before + b"\n"


def test_a_key_inside_another_keys_continuation_line_is_not_the_key() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "p"
        path.write_text("list=a,\\\n  key=1\n#key=2\n# c \\\nkey : old \\\n   more\nkey=twice\nkeys=3\n")
        resource = Property(host=HOST, path=str(path), key="key", value="new")
        (action,) = plan(resource).actions
        assert {d.field: d.seen for d in action.deltas} == {"value": "twice", "times": 2}
        settle(resource)
        assert path.read_text() == "list=a,\\\n  key=1\n#key=2\n# c \\\nkey=new\nkeys=3\n"


@pytest.mark.parametrize("secret", ["hush/&\\'$(x)", "plain"])
def test_a_secret_property_is_never_read_shown_or_an_argument(secret: str, tmp_path: Path) -> None:
    path = tmp_path / "p"
    path.write_text("pw=CANARY-old\nother=CANARY-other\n")
    resource = Property(host=HOST, path=str(path), key="pw", value=secret, secret=True)
    with fleet([resource]) as here:
        (action,) = here.plan().actions
        shown = json.dumps([(d.field, d.seen, d.want) for d in action.deltas]) + action.steps[0].command
        assert secret not in shown
        assert "CANARY" not in shown + repr(here.sight)
    settle(resource)
    assert path.read_text().splitlines()[1] == "other=CANARY-other"
    assert plan(resource).actions == ()


def test_a_secret_file_is_never_read_or_shown(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("CANARY-old")
    resource = File(host=HOST, path=str(path), content="CANARY-new", secret=True)
    with fleet([resource]) as here:
        (action,) = here.plan().actions
        assert "CANARY" not in repr(here.sight) + repr(action.deltas) + action.steps[0].command
    settle(resource)
    assert path.read_text() == "CANARY-new"
    assert plan(resource).actions == ()


@NEEDS_ACL
def test_odd_paths_through_every_question_about_paths(tmp_path: Path) -> None:
    odd = [tmp_path / name for name in ("a b", "x\\n", "é", "-n", "[1]", "it's", "a:b", "q=1")]
    for path in odd:
        path.write_text(path.name)
    missing = tmp_path / "missing"
    questions = [
        kind(str(path))
        for path in (*odd, missing)
        for kind in (StatQuestion, SumQuestion, TextQuestion, AclQuestion)
    ] + [
        TreeQuestion((str(tmp_path),)),
        TreeQuestion((str(missing),)),
    ]
    script = probe.compose(questions, "B")
    done = subprocess.run(["sh", "-s"], input=script.encode(), capture_output=True, check=True)
    answers = probe.parse(done.stdout, questions, "B")
    for path in odd:
        assert answers[TextQuestion(str(path))] == path.name.encode()
        assert answers[StatQuestion(str(path))].size == len(path.name.encode())
        assert answers[AclQuestion(str(path))]["user:"] == "rw-"
        assert len(answers[SumQuestion(str(path))]) == 64
    assert [
        answers[kind(str(missing))] for kind in (StatQuestion, SumQuestion, TextQuestion, AclQuestion)
    ] == [None] * 4


@NEEDS_ACL
def test_a_reply_cut_anywhere_never_says_absent(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("content")
    questions = [
        StatQuestion(str(path)),
        SumQuestion(str(path)),
        TextQuestion(str(path)),
        AclQuestion(str(path)),
        CommandQuestion("echo said"),
        TreeQuestion((str(path),)),
    ]
    script = probe.compose(questions, "B")
    whole = subprocess.run(["sh", "-s"], input=script.encode(), capture_output=True, check=True).stdout
    right = probe.parse(whole, questions, "B")
    assert not any(isinstance(answer, CannotSee) for answer in right.values())
    for end in range(len(whole) - 1):
        for question, answer in probe.parse(whole[:end], questions, "B").items():
            assert answer == right[question] or isinstance(answer, CannotSee)


def test_what_the_account_may_not_see_is_not_absent(tmp_path: Path) -> None:
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(0o755)
    hidden = tmp_path / "hidden"
    hidden.mkdir(mode=0o700)
    (hidden / "f").write_text("x")
    (tmp_path / "unreadable").write_text("x")
    (tmp_path / "unreadable").chmod(0o600)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"], check=True)
    resources = [
        File(host=HOST, path=str(hidden / "f"), content="x"),
        File(host=HOST, path=str(hidden / "deeper" / "f"), content="x"),
        Symlink(host=HOST, path=str(hidden / "l"), target="/x"),
        File(host=HOST, path=str(tmp_path / "unreadable"), content="x"),
        Property(host=HOST, path=str(tmp_path / "unreadable"), key="k", value="v"),
        AuthorizedKeys(host=HOST, path=str(tmp_path / "unreadable"), keys={}),
        Keypair(host=HOST, path=str(tmp_path / "key")),
        Service(host=HOST, unit="x", running=None, loads=(str(hidden),)),
        Acl(host=HOST, path=str(hidden / "f"), entries=("user:daemon:r--",)),
        File(host=HOST, path=str(tmp_path / "none"), content="x"),
    ]
    result = plan(*resources, root=False)
    assert [action.ref.name for action in result.actions] == [str(tmp_path / "none")]
    assert {ref.name for ref in result.unknown} == {r.name for r in resources[:-1]}


def test_a_key_that_others_may_read_is_mended_and_kept(tmp_path: Path) -> None:
    key = tmp_path / "key"
    resource = Keypair(host=HOST, path=str(key))
    settle(resource)
    made = key.read_text()
    key.chmod(0o644)
    assert {each.result for each in settle(resource).outcomes} == {"done"}
    assert key.read_text() == made
    (tmp_path / "key.pub").write_text("ssh-ed25519 AAAA other\n")
    settle(resource)
    assert plan(resource).actions == ()
    assert key.read_text() == made


def test_lines_of_ours_come_and_go_and_others_stay(tmp_path: Path) -> None:
    path = tmp_path / "authorized_keys"
    path.write_text("ssh-rsa THEIRS me@home\n# reconciler e old\nssh-rsa LAST reconciler f cn-1")
    path.chmod(0o600)
    others = path.read_text()

    def keys(**names: str) -> AuthorizedKeys:
        return AuthorizedKeys(host=HOST, path=str(path), tag="reconciler e", options="restrict", keys=names)

    settle(keys(a="ssh-rsa A", b="ssh-rsa B"))
    settle(keys(b="ssh-rsa B2"))
    assert path.read_text() == f"{others}\nrestrict ssh-rsa B2 reconciler e b\n"
    assert plan(keys(b="ssh-rsa B2")).actions == ()
    settle(AuthorizedKeys(host=HOST, path=str(path), tag="reconciler e", absent=True))
    assert path.read_text() == f"{others}\n"
