"""Runs that were made elsewhere are known after a look: two machines that share nothing but the hosts."""

from __future__ import annotations

import dataclasses
import json
import os
import re

import pytest

from reconciler.cli import completion
from reconciler.cli.exit import Code
from reconciler.environment.rules import Policy
from reconciler.journal.lines import RunLine, digest_of, line_from, short
from reconciler.questions.runs import LARGEST
from tests.approval.test_signatures import key
from tests.support.team import NEEDS_ROOT, Team, team

__all__ = ["team"]

pytestmark = NEEDS_ROOT


def drift(team: Team, machine: str, capsys: pytest.CaptureFixture[str], *more: str) -> dict[str, str]:
    """What a look of this machine finds: by host, the verdict."""
    capsys.readouterr()
    team.at(machine).run(["drift", "e.yaml", "--json", *more])
    found = json.loads(capsys.readouterr().out)
    return {each["host"]: each["verdict"] for each in found["findings"]}


def test_drift_tells_drifted_from_pending_by_a_run_of_elsewhere(
    team: Team, capsys: pytest.CaptureFixture[str]
) -> None:
    assert drift(team, "B", capsys) == {"a": "pending", "b": "pending"}
    assert team.at("A").run(["apply", "e.yaml", "--yes"]) == 0
    team.host("b").things["/x"] = "odd"
    assert drift(team, "B", capsys) == {"b": "drifted"}


def test_without_that_run_it_is_pending(team: Team, capsys: pytest.CaptureFixture[str]) -> None:
    assert team.at("A").run(["apply", "e.yaml", "--yes"]) == 0
    for name in "ab":
        team.host(name).record.unlink()
        team.host(name).things["/x"] = "odd"
    assert drift(team, "B", capsys) == {"a": "pending", "b": "pending"}


def test_what_was_seen_here_since_counts_more(team: Team, capsys: pytest.CaptureFixture[str]) -> None:
    assert team.at("A").run(["apply", "e.yaml", "--yes"]) == 0
    assert drift(team, "B", capsys) == {}
    things = team.scene.environment.resources
    other = tuple(dataclasses.replace(each, value="newer") for each in things)
    team.scene.environment = dataclasses.replace(team.scene.environment, resources=other)
    assert drift(team, "B", capsys) == {"a": "pending", "b": "pending"}, "another value, which nobody applied"
    assert team.at("B").run(["apply", "e.yaml", "--yes"]) == 0
    team.host("b").things["/x"] = "odd"
    assert drift(team, "B", capsys) == {"b": "drifted"}, (
        "it was as desired here, after A had applied the other"
    )
    team.scene.environment = dataclasses.replace(team.scene.environment, resources=things)
    assert drift(team, "B", capsys) == {"a": "pending", "b": "pending"}, "what A had applied was undone since"


def test_history_status_and_rollback_know_the_run(team: Team, capsys: pytest.CaptureFixture[str]) -> None:
    assert team.at("A").run(["apply", "e.yaml", "--yes"]) == 0
    drift(team, "B", capsys)
    assert team.at("B").run(["history"]) == 0
    shown = capsys.readouterr().out
    run = re.search(
        r"run (x[0-9a-f]{12})  e: apply, 2 actions: done; elsewhere, by \S+ on \S+ \(unsigned\)", shown
    )
    assert run, shown
    assert list(completion.runs_elsewhere()) == [run[1]]
    assert team.at("B").run(["history", "--host", "b"]) == 0
    assert run[1] in capsys.readouterr().out
    assert team.at("B").run(["history", run[1]]) == 0
    shown = capsys.readouterr().out
    for each in ("run 1 there", "a: create thing /x", "b: create thing /x", "told by a, b; unsigned"):
        assert each in shown
    assert team.at("B").run(["history", "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)["elsewhere"]
    assert (told["run"], told["exit_code"], told["signed_by"]) == (run[1], 0, None)
    assert team.at("B").run(["rollback", run[1]]) == 64
    said = capsys.readouterr().err
    assert "was made elsewhere, by" in said
    assert "`reconcile rollback 1` on that machine" in said
    assert team.at("B").run(["history", "x000000000000"]) == 64
    assert team.at("B").run(["history", "1"]) == 64, "it is none of this machine"


def test_status_names_the_run_and_trusts_no_older_look(
    team: Team, capsys: pytest.CaptureFixture[str]
) -> None:
    drift(team, "B", capsys)
    assert team.at("A").run(["apply", "e.yaml", "--yes"]) == 0
    capsys.readouterr()
    assert team.at("B").run(["status", "e.yaml"]) == 2, "it does not know yet"
    assert team.at("B").run(["plan", "e.yaml"]) == 0
    capsys.readouterr()
    assert team.at("B").run(["status", "e.yaml"]) == 3
    assert re.search(r"run x\w+ by \S+ on \S+ became known after the last look", capsys.readouterr().out)
    drift(team, "B", capsys)
    assert team.at("B").run(["status", "e.yaml", "--json"]) == 0
    (part,) = json.loads(capsys.readouterr().out)["environments"]
    assert (part["state"], part["last_run"], part["last_run_elsewhere"]["exit_code"]) == ("in sync", None, 0)


def test_a_look_again_brings_nothing_twice_and_ones_own_runs_are_ones_own(
    team: Team, capsys: pytest.CaptureFixture[str]
) -> None:
    assert team.at("A").run(["apply", "e.yaml", "--yes"]) == 0
    for _ in range(3):
        drift(team, "A", capsys)
        drift(team, "B", capsys)
    for machine, count in (("A", 0), ("B", 1)):
        assert team.at(machine).run(["history", "--json"]) == 0
        assert len(json.loads(capsys.readouterr().out)["elsewhere"]) == count


def test_a_run_that_was_killed_is_known_too(team: Team, capsys: pytest.CaptureFixture[str]) -> None:
    team.host("a").release = lambda last: None
    team.host("b").release = lambda last: None
    assert team.at("A").run(["apply", "e.yaml", "--yes"]) == 0
    drift(team, "B", capsys)
    assert team.at("B").run(["history"]) == 0
    assert "its end is not known" in capsys.readouterr().out


def test_a_look_at_hosts_without_runs_makes_no_journal(team: Team) -> None:
    team.at("B").run(["plan", "e.yaml"])
    assert not (team.folder / "state-B").exists()


DAMAGES = {
    "a line was changed": lambda text: text.replace('"code":0', '"code":9'),
    "a line was taken away": lambda text: text.split("\n", 1)[1],
    "rubbish": lambda text: text + "\0\xff\x1b[2J{}\n" + "x" * 200_000,
    "another host's": lambda text: text.replace('"host":"a"', '"host":"b"'),
    "nested": lambda text: text + "0" * 64 + " - " + "[" * 60_000 + "\n",
    "empty": lambda text: "",
}


@pytest.mark.parametrize("what", DAMAGES)
def test_damage_breaks_no_look_and_is_named_once(
    team: Team, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    assert team.at("A").run(["apply", "e.yaml", "--yes"]) == 0
    drift(team, "B", capsys)
    team.host("a").things["/x"] = "odd"
    assert team.at("A").run(["apply", "e.yaml", "--yes"]) == 0
    record = team.host("a").record
    text = DAMAGES[what](record.read_text())
    record.write_bytes(text.encode("latin-1"))
    capsys.readouterr()
    assert team.at("B").run(["drift", "e.yaml"]) == 0
    said = capsys.readouterr().err
    assert ("a: its record of runs: " in said) == (what != "a line was taken away")
    assert "b: its record" not in said
    assert team.at("B").run(["drift", "e.yaml"]) == 0
    assert "record of runs" not in capsys.readouterr().err, "it was named already"
    # The next run goes on from there, and is known.
    team.host("a").things["/x"] = "odd"
    assert team.at("A").run(["apply", "e.yaml", "--yes"]) == 0
    drift(team, "B", capsys)
    assert team.at("B").run(["history", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["elsewhere"]
    assert told[-1]["actions"]["a"] == ["change thing /x"]
    assert told[-1]["exit_code"] == 0


@pytest.mark.parametrize("what", ["link", "folder", "pipe", "writable"])
def test_what_is_not_roots_alone_is_neither_read_nor_written(
    team: Team, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    assert team.at("A").run(["apply", "e.yaml", "--yes"]) == 0
    record = team.host("a").record
    aside = record.rename(record.with_name("aside"))
    text = aside.read_text()
    if what == "link":
        record.symlink_to(aside)
    elif what == "folder":
        record.mkdir()
    elif what == "pipe":
        os.mkfifo(record)
    else:
        record.write_text(text)
        record.chmod(0o646)
    capsys.readouterr()
    assert team.at("B").run(["drift", "e.yaml"]) == 0
    assert "a: its record of runs: what is there can be written by others" in capsys.readouterr().err
    team.host("a").things["/x"] = "odd"
    assert team.at("B").run(["apply", "e.yaml", "--yes"]) == 0
    assert "a: the end of this run is not in its record of runs" in capsys.readouterr().err
    assert aside.read_text() == text


def test_a_record_is_bounded(team: Team, capsys: pytest.CaptureFixture[str]) -> None:
    record = team.host("a").record
    record.parent.mkdir()
    record.write_text(f"{'x' * 79}\n" * 10_000)
    assert team.at("A").run(["apply", "e.yaml", "--yes"]) == 0
    assert LARGEST // 2 - 80 < record.stat().st_size < LARGEST // 2 + 8_000
    drift(team, "B", capsys)
    assert team.at("B").run(["history", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert len(document["elsewhere"]) == 1
    assert re.fullmatch(
        r"a: its record of runs of e: \d+ of its lines are damaged, or of no run of e",
        document["records"][0],
    )


def test_a_line_approves_nothing_and_causes_nothing(team: Team, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever a host tells of runs and approvers: the plan is the same, and what needs an approval needs it."""
    environment = team.scene.environment
    policy = Policy(approvers=1, allowed_signers="signers")
    assert team.at("A").run(["apply", "e.yaml", "--yes"]) == 0
    for name in "ab":
        text = team.host(name).record.read_text()
        lines = [line_from(each) for each in text.splitlines()]
        body = {**lines[0].body, "approvers": ["boss@example.org"], "actions": ["remove thing /y"]}
        forged = RunLine(digest_of(body), "-", body)
        team.host(name).record.write_text(f"{forged.text}\n")
        team.host(name).things["/x"] = "odd"
    team.scene.environment = dataclasses.replace(environment, policy=policy)
    assert team.at("B").run(["apply", "e.yaml", "--yes"]) == Code.NOT_APPROVED
    assert [team.host(name).things["/x"] for name in "ab"] == ["odd", "odd"]
    capsys.readouterr()
    team.at("B").run(["plan", "e.yaml", "--json"])
    assert [each["verb"] for each in json.loads(capsys.readouterr().out)["actions"]] == ["change", "change"]


def test_a_host_tells_of_itself_alone(team: Team, capsys: pytest.CaptureFixture[str]) -> None:
    assert team.at("A").run(["apply", "e.yaml", "--yes"]) == 0
    # b is lost to B, and a tells in its place: that b's thing was applied, and that a run was there.
    team.host("b").record.unlink()
    lines = [line_from(each) for each in team.host("a").record.read_text().splitlines()]
    (want,) = lines[1].body["settled"].values()
    told = {**lines[1].body, "before": lines[1].digest, "settled": {short("b thing /x"): want}}
    other = {**lines[0].body, "host": "b", "before": digest_of(told)}
    with team.host("a").record.open("a") as record:
        for body in (told, other):
            record.write(f"{RunLine(digest_of(body), '-', body).text}\n")
    for name in "ab":
        team.host(name).things["/x"] = "odd"
    assert drift(team, "B", capsys) == {"a": "drifted", "b": "pending"}
    assert team.at("B").run(["history", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [list(each["actions"]) for each in document["elsewhere"]] == [["a"]]
    assert document["records"] == []


def test_a_host_that_has_another_name_now_goes_on_with_its_record(
    team: Team, capsys: pytest.CaptureFixture[str]
) -> None:
    assert team.at("A").run(["apply", "e.yaml", "--yes"]) == 0
    # What is b now was called a.
    team.host("b").record.write_text(team.host("a").record.read_text())
    team.host("b").things["/x"] = "odd"
    capsys.readouterr()
    assert team.at("C").run(["apply", "e.yaml", "--yes"]) == 0
    assert team.at("B").run(["drift", "e.yaml"]) == 0
    assert "record of runs" not in capsys.readouterr().err
    assert team.at("B").run(["history", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert sorted(list(each["actions"]) for each in document["elsewhere"]) == [["a"], ["b"]]
    assert document["records"] == []


def test_what_a_power_cut_left_of_a_line_spoils_no_other(
    team: Team, capsys: pytest.CaptureFixture[str]
) -> None:
    assert team.at("A").run(["apply", "e.yaml", "--yes"]) == 0
    record = team.host("a").record
    record.write_bytes(record.read_bytes() + bytes(700))
    team.host("a").things["/x"] = "odd"
    assert team.at("A").run(["apply", "e.yaml", "--yes"]) == 0
    capsys.readouterr()
    assert team.at("B").run(["drift", "e.yaml"]) == 0
    assert capsys.readouterr().err == (
        "a: its record of runs: 1 of its lines are damaged, or of no run of e\n"
    )


def test_a_run_is_signed_where_there_is_a_key_and_believed_where_it_is_known(
    team: Team, capsys: pytest.CaptureFixture[str]
) -> None:
    ada, eve = key(team.folder, "ada"), key(team.folder, "eve")
    allowed = team.folder / "allowed"
    allowed.write_text(f"ada@example.org {ada.with_suffix('.pub').read_text()}")
    policy = Policy(allowed_signers=str(allowed))
    team.scene.environment = dataclasses.replace(team.scene.environment, policy=policy)
    for number, each in enumerate((ada, eve, team.folder / "none")):
        team.host("a").things["/x"] = team.host("b").things["/x"] = f"odd {number}"
        team.monkeypatch.setenv("RECONCILE_SIGNING_KEY", str(each))
        capsys.readouterr()
        assert team.at("A").run(["apply", "e.yaml", "--yes"]) == 0
        said = capsys.readouterr().err.count("this run is not signed")
        assert said == (each.name == "none")
    drift(team, "B", capsys)
    # A line that is signed cannot be put into another order, nor told by another host.
    lines = team.host("a").record.read_text().splitlines()
    team.host("b").record.write_text("\n".join([*lines, *lines[:1]]))
    drift(team, "C", capsys)
    for machine in "BC":
        assert team.at(machine).run(["history", "--json"]) == 0
        document = json.loads(capsys.readouterr().out)
        told = document["elsewhere"]
        assert [each["signed_by"] for each in told] == ["ada@example.org", None, None]
        assert [list(each["actions"]) for each in told] == [["a", "b"] if machine == "B" else ["a"]] * 3
