"""What a TAB completes, as the shells ask for it; in how much time is `make bench`'s matter."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.cli import completion, spelled
from reconciler.environment import outline, settings
from reconciler.journal.journal import Journal
from reconciler.journal.team import ADD
from reconciler.model import Ref
from tests.support.terminal import Terminal
from tools import reference

PROGRAM = Path(sys.executable).parent / "reconcile"
YAML = """
environment: stage
router: cn.example.org
include: [more.yaml]
hosts:
  - {name: cn-1.example.org, primary: true, groups: [web]}
  - {name: cn-2.example.org}
  - {name: cn-2.example.net}
"""
MORE = "resources: [{file: /etc/motd, content: x}, {service: apache2}, {file: /a b, content: x}]\n"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two environments and a journal."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RECONCILE_STATE", str(tmp_path / "state"))
    folder = tmp_path / "environments"
    folder.mkdir()
    (folder / "stage.yaml").write_text(YAML, encoding="utf-8")
    (folder / "more.yaml").write_text(MORE, encoding="utf-8")
    (tmp_path / "p.json").write_text("{}", encoding="utf-8")
    with Journal() as journal:
        journal.begin("stage", {}, b"")
        journal.begin("stage", {"file": "environments/stage.yaml"}, b"")
        told = '0 - {"environment":"stage","run":"x3f2a9c1b04d2"}'
        journal.change((ADD, ("stage", "cn-1.example.org", "0", told, "")))
        journal.settle("stage", {Ref("cn-1.example.org", "symlink", "/etc/x"): "1"})
        journal.settle("prod", {Ref("cn-1.example.org", "symlink", "/etc/y"): "1"})
    return tmp_path


def completed(*words: str) -> set[str]:
    """What bash is given for the last of the words behind `reconcile`."""
    line = "\n".join(("reconcile", *words))
    asked = {"COMP_WORDS": line, "COMP_CWORD": str(len(words)), "_RECONCILE_COMPLETE": "complete_bash"}
    done = subprocess.run([PROGRAM], env={**os.environ, **asked}, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return set(done.stdout.split("\n")[:-1])


HOSTS = {"cn-1", "cn-1.example.org", "cn-2.example.org", "cn-2.example.net", "web", "primary", "replicas"}


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("pl",), {"plan"}),
        (("--v",), {"--version"}),
        (("plan", "st"), {"stage"}),
        (("plan", "--host", "x", "st"), {"stage"}),
        (("plan", "-o", "x", "stage", ""), set()),
        (("drift", "stage", "more", "s"), {"stage"}),
        (("apply", ""), {"stage", "more", "p.json"}),
        (("show", ""), {"p.json"}),
        (("apply", "p.json", "--env", "s"), {"stage"}),
        (("plan", "stage", "--det"), {"--detailed-exitcode"}),
        (("plan", "stage", "--host", ""), HOSTS),
        (("plan", "stage", "--host", "cn-1"), {"cn-1", "cn-1.example.org"}),
        (("plan", "stage", "--host", "!w"), {"!web"}),
        (("plan", "stage", "--host", "'!w"), {"!web"}),
        (("plan", "stage", "--host", "=", "w"), {"web"}),
        (("plan", "environments/stage.yaml", "--host", "w"), {"web"}),
        (("plan", "stage", "--only", "fil"), {"file", "file:/etc/motd"}),
        (("plan", "stage", "--only", "file:/"), {"/etc/motd"}),
        (("plan", "stage", "--only", "file", ":", "/e"), {"/etc/motd"}),
        (("plan", "stage", "--only", "file", ":"), {"/etc/motd"}),
        (("plan", "stage", "--only", "acco"), {"account"}),
        (("plan", "stage", "--only", "ser"), {"service", "serving"}),
        (("plan", "stage", "--only", "!ser"), {"!service", "!serving"}),
        (("plan", "stage", "--only", "symlink", ":", "/"), {"/etc/x"}),
        (("plan", "stage", "--replace", ""), {"certificate"}),
        (("explain", "stage", "cn-1."), {"cn-1.example.org"}),
        (("explain", "stage", "serv"), {"service", "serving"}),
        (("explain", "stage", "service", ":", "a"), {"apache2"}),
        (("explain", "stage", "cn-1", "serv"), {"service", "serving"}),
        (("explain", "stage", "cn-1", "service", ""), {"apache2"}),
        (("rollback", ""), {"1", "2"}),
        (("rollback", "2", "--host", "w"), {"web"}),
        (("rollback", "1", "--host", ""), {"cn-1", "cn-1.example.org"}),
        (("rollback", "2", "--only", "file:/"), {"/etc/motd"}),
        (("history", "2"), {"2"}),
        (("history", ""), {"1", "2", "x3f2a9c1b04d2"}),
        (("history", "--host", ""), {"cn-1", "cn-1.example.org"}),
        (("history", "--env", "stage", "--host", "w"), {"web"}),
        (("plan", "stage", "--log-format", ""), {"text", "json"}),
        (("graph", "stage", "--format", ""), {"mermaid", "dot"}),
        (("init", "--host", ""), set()),
        (("nothing", ""), set()),
    ],
)
def test_a_tab(words: tuple[str, ...], found: set[str], place: Path) -> None:
    assert completed(*words) == found


@pytest.mark.parametrize(
    "broken", ["hosts: [", "- x", "hosts: {a: b}\nresources: 3", "\x00", "include: [gone.yaml]"]
)
def test_a_broken_file_completes_to_nothing_of_it(broken: str, place: Path) -> None:
    (place / "environments" / "stage.yaml").write_text(broken, encoding="utf-8")
    assert completed("plan", "stage", "--host", "c") == set()
    assert completed("plan", "stage", "--only", "file:/") == set()
    assert completed("plan", "gone", "--host", "") == set()
    assert completed("plan", "st") == {"stage"}


def test_a_broken_journal_completes_to_nothing(place: Path) -> None:
    (place / "state" / "journal.sqlite").write_bytes(b"x" * 5000)
    assert completed("rollback", "") == set()


def test_without_a_journal_there_is_none_afterwards(place: Path) -> None:
    shutil.rmtree(place / "state")
    assert completed("rollback", "") == set()
    assert completed("plan", "stage", "--only", "file:/") == {"/etc/motd"}
    assert completed("history", "--host", "") == set()
    assert not (place / "state").exists()


def test_a_journal_of_a_version_that_knew_no_other_machines(place: Path) -> None:
    with sqlite3.connect(place / "state" / "journal.sqlite") as data:
        data.execute("DROP TABLE elsewhere")
    data.close()
    assert completed("history", "") == {"1", "2"}


BASH = """
eval "$(reconcile --show-completion bash)" || eval "$(_RECONCILE_COMPLETE=source_bash reconcile)"
complete -p reconcile >/dev/null || exit 1
COMP_LINE="$*"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_reconcile_completion reconcile
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.mark.parametrize(
    ("words", "found"),
    [(("plan", ""), "more\nstage\n"), (("plan", "stage", "--only", "file", ":", "/e"), "/etc/motd\n")],
)
def test_the_script_for_bash_asks_so(words: tuple[str, ...], found: str, place: Path) -> None:
    path = f"{PROGRAM.parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "--norc", "-c", BASH, "bash", "reconcile", *words],
        env={**os.environ, "PATH": path, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.stdout == found, done.stderr


LINES = [
    ("reconcile plan st", "reconcile plan stage"),
    ("reconcile drift stage --host we", "reconcile drift stage --host web"),
    ("reconcile apply stage --host cn-1.", "reconcile apply stage --host cn-1.example.org"),
    ("reconcile plan stage --only file:/", "reconcile plan stage --only file:/etc/motd"),
    ("reconcile explain stage service:a", "reconcile explain stage service:apache2"),
    ("reconcile history x", "reconcile history x3f2a9c1b04d2"),
    ("reconcile rollback 2 --host w", "reconcile rollback 2 --host web"),
    ("reconcile graph stage --format m", "reconcile graph stage --format mermaid"),
    ("reconcile plan stage --det", "reconcile plan stage --detailed-exitcode"),
]
"""What is typed before the TAB, and what the line begins with afterwards, in every shell."""
ZSH = """unset zle_bracketed_paste; PS1='> '; autoload -Uz compinit; compinit -u -D
eval "$(reconcile --show-completion zsh)"; print -P 'all is re%%ady'
"""


def environ() -> dict[str, str]:
    path = f"{PROGRAM.parent}:{os.environ['PATH']}"
    return {"PATH": path, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}


def missing(shell: str) -> bool:
    return shutil.which(shell) is None


@pytest.mark.skipif(missing("zsh"), reason="zsh is not installed (apt-get install zsh)")
def test_a_tab_in_zsh(place: Path) -> None:
    with Terminal(["zsh", "-f", "-i"], environ(), columns=100, folder=place) as terminal:
        terminal.type(ZSH)
        terminal.until("all is re%ady")
        for typed, after in LINES:
            terminal.type(f"{typed}\t")
            terminal.until(f"> {after}")
            terminal.type("\x15clear\n")  # Ctrl-U: nothing of it is run
        terminal.type("reconcile plan \t")
        terminal.until("more   stage")


@pytest.mark.skipif(missing("fish"), reason="fish is not installed (apt-get install fish)")
@pytest.mark.parametrize(("typed", "after"), LINES)
def test_a_tab_in_fish(typed: str, after: str, place: Path) -> None:
    asked = "reconcile --show-completion fish | source; complete --do-complete $argv[1]"
    done = subprocess.run(
        ["fish", "--no-config", "-c", asked, typed],
        env={**os.environ, **environ()}, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert done.stdout == f"{after.rpartition(' ')[2]}\n", done.stderr


def zsh(line: str) -> str:
    asked = {"_TYPER_COMPLETE_ARGS": line, "_RECONCILE_COMPLETE": "complete_zsh"}
    return subprocess.run(
        [PROGRAM], env={**os.environ, **asked}, capture_output=True, text=True, check=True
    ).stdout


def test_zsh_gets_what_typer_would_give_it(place: Path) -> None:
    from typer._click.shell_completion import CompletionItem
    from typer._completion_classes import ZshComplete

    words = ["a:b", "it's", 'x"y', "$z", "`w`"]
    theirs = [ZshComplete.format_completion(ZshComplete, CompletionItem(each)) for each in words]  # type: ignore[arg-type]
    assert completion.as_zsh(words) == "_arguments '*: :((" + "\n".join(theirs) + "))'"
    assert zsh(
        "reconcile plan stage --only file:/"
    ) == "_arguments '*: :((\"file\\\\\\\\:/etc/motd\"))'\n".replace("\\\\\\\\", "\\\\")
    assert zsh("reconcile plan st") == "_arguments '*: :((\"stage\"))'\n"
    assert zsh("reconcile plan stage ") == "_files\n"


def test_the_table_is_of_the_command_line() -> None:
    assert list(spelled.COMMANDS) == list(reference.commands())
    taking = {flag for each in spelled.COMMANDS.values() for flag, takes in each.flags.items() if takes}
    assert {"--host", "--only", "-o", "--parallel"} <= taking
    assert taking.isdisjoint({"--json", "-v", "--help"})
    assert outline.GROUPS == (settings.PRIMARY, settings.REPLICAS)
