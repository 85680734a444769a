"""Hosts of a site are looked at from its gateway: as if this machine had looked, or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from reconciler.environment.settings import Environment, Host, SiteSettings
from reconciler.fleet.reply import NoAnswer
from reconciler.fleet.site import Gateway, ask
from reconciler.model import Observation
from tests.support.local import LocalHost
from tests.support.scripted import Scripted, Thing
from tests.support.workplace import Scene, StoppedClock

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


def environment(command: str) -> Environment:
    """`a` is reached from here, `b` and `c` are at a site."""
    hosts = (Host(name="a", primary=True), Host(name="b", site="s"), Host(name="c", site="s"))
    return Environment(
        name="e",
        router="r",
        hosts=hosts,
        sites={"s": SiteSettings(gateway="gw", file="envs/e.yaml", command=command)},
        blueprint=False,
        resources=tuple(Thing(host=host.name, label="/x") for host in hosts),
        file="e.yaml",
        digest="d" * 64,
        sources={"motd": "f" * 64},
    )


@dataclass
class Two:
    """The controlling machine, and the gateway, which has the program, too."""

    here: Scene
    there: Scene
    clock_there: StoppedClock
    folder: Path
    patch: pytest.MonkeyPatch

    def look_there(self, capsys: pytest.CaptureFixture) -> dict[str, Any]:
        """What the gateway prints, now."""
        with self.patch.context() as patch:
            patch.setenv("RECONCILE_SITE", "s")
            self.there.run(["observe", "e", "--json", "--quiet", "--host", "s"])
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    def answers(self, printed: str, more: str = "") -> None:
        """What the gateway's command prints from now on; `more` is shell after that."""
        (self.folder / "seen.json").write_text(printed, encoding="utf-8")
        text = (
            f'#!/bin/sh\necho "$RECONCILE_SITE $*" >>{self.folder}/asked\ncat {self.folder}/seen.json\n{more}'
        )
        (self.folder / "reconcile").write_text(text, encoding="utf-8")
        (self.folder / "reconcile").chmod(0o755)

    def asked(self) -> list[str]:
        """How the command was called."""
        return (self.folder / "asked").read_text(encoding="utf-8").splitlines()


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Two:
    env = environment(str(tmp_path / "reconcile"))
    gateway, hosts = LocalHost(name="gw"), {name: Scripted(name) for name in "abc"}

    def connect(ssh: Any, wanted: Iterable[Host]) -> list[Any]:
        names = [each.name for each in wanted]
        assert not {"b", "c"} & set(names), "hosts of a site are not reached from here"
        assert names != ["gw"] or ssh.sudo is False
        return [gateway if name == "gw" else hosts[name] for name in names]

    clock = StoppedClock(NOW)
    here, there = Scene(hosts, env, more={"clock": lambda: NOW}), Scene(hosts, env, more={"clock": clock})
    monkeypatch.setattr(here, "_connect", connect)
    monkeypatch.setenv("RECONCILE_STATE", str(tmp_path / "state"))
    return Two(here, there, clock, tmp_path, monkeypatch)


def test_one_command_looks_at_all_hosts_of_a_site_and_the_plan_is_as_if_they_were_looked_at_from_here(
    two: Two, capsys: pytest.CaptureFixture
) -> None:
    seen = two.look_there(capsys)
    assert set(seen["hosts"]) == {"b", "c"}
    two.answers(json.dumps(seen), "echo a remark >&2")
    assert two.here.run(["plan", "e", "--json"]) == 0
    from_gateway = json.loads(capsys.readouterr().out)["actions"]
    assert two.asked() == ["s observe envs/e.yaml --json --quiet --host s --parallel 32 --timeout 30"]
    assert two.there.run(["plan", "e", "--json", "--host", "a"]) == 0
    two.patch.setenv("RECONCILE_SITE", "s")
    capsys.readouterr()
    assert two.there.run(["plan", "e", "--json"]) == 0
    from_here = json.loads(capsys.readouterr().out)["actions"]
    assert [(each["host"], each["verb"]) for each in from_gateway] == [(host, "create") for host in "abc"]
    assert [each["steps"] for each in from_gateway] == [each["steps"] for each in from_here]


def test_drift_and_observe_tell_the_hosts_of_a_site_too(two: Two, capsys: pytest.CaptureFixture) -> None:
    two.answers(json.dumps(two.look_there(capsys)))
    assert two.here.run(["drift", "e", "--json"]) == 2
    assert {each["host"] for each in json.loads(capsys.readouterr().out)["actions"]} == set("abc")
    assert two.here.run(["observe", "e", "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)["hosts"]) == set("abc")
    assert two.here.run(["plan", "e", "--host", "a"]) == 0
    assert len(two.asked()) == 2, "without its hosts no gateway is asked"


def otherwise(**fields: Any) -> Callable[[dict[str, Any]], str]:
    return lambda seen: json.dumps({**seen, **fields})


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (otherwise(file_digest="0" * 64), "the environment, e.yaml, is another (SHA-256 000000000000…, here"),
        (otherwise(sources={}), "its copy of motd is another; bring both to the same commit"),
        (otherwise(program="0.0.9"), "it has version 0.0.9 of reconcile, and here is "),
        (
            otherwise(looked="2026-11-27T12:06:00+00:00"),
            "its clock differs from that of this machine by 360 s",
        ),
        (otherwise(hosts=1), "hosts: expected an object, found 1"),
        (otherwise(document="plan"), "expected an observation"),
        (lambda seen: "sh: \x1b[31mreconcile: not found", "failed there: it printed no JSON"),
        (lambda seen: "[" * 100_000, "failed there: it printed no JSON"),
    ],
)
def test_what_was_looked_at_by_another_copy_or_told_in_another_form_is_not_taken(
    spoil: Callable[[dict[str, Any]], str], told: str, two: Two, capsys: pytest.CaptureFixture
) -> None:
    two.answers(spoil(two.look_there(capsys)))
    assert two.here.run(["plan", "e"]) == 3
    out = capsys.readouterr().out
    for host in "bc":
        assert f"? {host} could not be looked at: the gateway gw of the site s: " in out
    assert told in out
    assert "Plan: 1 to create" in out
    assert "\x1b" not in out


def test_a_gateway_tells_of_the_hosts_of_its_site_and_of_no_other(
    two: Two, capsys: pytest.CaptureFixture
) -> None:
    seen = two.look_there(capsys)
    settled = {"resources": [{"kind": "thing", "name": "/x", "state": {"value": "new"}}]}
    two.answers(json.dumps({**seen, "hosts": {"a": settled, "b": {"unreachable": "it is down"}}}))
    assert two.here.run(["plan", "e"]) == 3
    out = capsys.readouterr().out
    assert "b could not be looked at: the gateway gw of the site s says: it is down" in out
    assert "c could not be looked at: the gateway gw of the site s has not looked at it" in out
    assert "thing /x  (a)" in out, "what it says of a is not believed"


def test_nothing_is_done_at_a_site_from_here_but_on_its_gateway(
    two: Two, capsys: pytest.CaptureFixture
) -> None:
    assert two.here.run(["apply", "e", "--yes"]) == 64
    command = two.folder / "reconcile"
    where = "b, c: at the site s, where nothing is done from here; on its gateway gw:"
    assert capsys.readouterr().err.splitlines() == [
        f"{where} `RECONCILE_SITE=s {command} apply envs/e.yaml --host s`",
        "the other hosts alone: --host '!s'; nothing was done",
    ]
    assert two.here.run(["apply", "e", "--yes", "--host", "!s"]) == 0
    assert "set /x" not in "".join(two.here["b"].scripts)
    two.patch.setenv("RECONCILE_SITE", "s")
    assert two.there.run(["apply", "e", "--yes", "--host", "s"]) == 0
    assert "set /x" in "".join(two.there["b"].scripts)


def test_a_site_that_there_is_not_is_told(two: Two, capsys: pytest.CaptureFixture) -> None:
    two.patch.setenv("RECONCILE_SITE", "nowhere")
    assert two.here.run(["plan", "e"]) == 64
    assert "RECONCILE_SITE=nowhere: e.yaml has no such site (there: s)" in capsys.readouterr().err


class Silent:
    def run(self, script: str, seconds: float) -> Any:
        raise NoAnswer("gw", "it does not answer on port 22")

    def close(self) -> None:
        pass


def test_a_gateway_that_does_not_answer_or_lacks_the_program_hides_its_hosts_and_says_why() -> None:
    def seen(connection: Any, command: str) -> Observation:
        look = partial(ask, "the gateway gw", connection, command, 10)
        return Gateway("the gateway gw", ("b",), look, lambda found: Observation()).look()

    found = seen(Silent(), "x")
    assert found.unreachable == {"b": "the gateway gw: it does not answer on port 22"}
    found = seen(LocalHost(), "no-such-reconcile observe")
    assert "`no-such-reconcile observe` failed there: " in found.unreachable["b"]
    assert "not found" in found.unreachable["b"]


def test_a_clock_that_is_a_little_off_is_no_reason(two: Two, capsys: pytest.CaptureFixture) -> None:
    two.clock_there.now += timedelta(minutes=4)
    two.answers(json.dumps(two.look_there(capsys)))
    assert two.here.run(["plan", "e"]) == 0
