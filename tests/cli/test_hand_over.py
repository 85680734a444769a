"""A signed plan of a site's hosts is carried out there, by what is there: over ssh, to the gateway."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import ROOT
from tests.support.site import Site, each_once


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    gateway = tmp_path / "reconcile"
    gateway.write_text(
        f'#!/bin/sh\necho "$*" >>{tmp_path}/asked\ncd {ROOT}\nexport FOLDER={tmp_path}\n'
        f'RECONCILE_STATE={tmp_path}/there exec {sys.executable} -m tests.support.site_program "$@"\n',
        encoding="utf-8",
    )
    gateway.chmod(0o755)
    made = Site(tmp_path, gateway=str(gateway))
    yield made
    made.close()


def test_a_signed_plan_is_carried_out_at_its_site_and_nothing_but_names_and_digests_goes_there(
    site: Site,
) -> None:
    plan = site.plan()
    applied = site.run("apply", plan, "--env", "e", "--json")
    assert applied.code == 0, applied.err
    assert {(each["host"], each["name"], each["result"]) for each in applied.json["outcomes"]} == {
        (host, name, "done") for host in "bc" for name in ("/x", "/y")
    }
    assert sorted(site.logged()) == each_once("b", "c")
    (asked,) = (line for line in (site.folder / "asked").read_text().splitlines() if "--task" in line)
    task = json.loads(asked.partition("--task ")[2])
    digest = json.loads(Path(plan).read_text())["digest"]
    assert set(task) == {
        "document",
        "version",
        "id",
        "do",
        "environment",
        "site",
        "digest",
        "hosts",
        "expires",
    }
    assert (task["do"], task["digest"], task["hosts"]) == ("apply", digest, ["b", "c"])
    # It is the site's run: there it is recorded with its approver, and here it is not.
    there = site.run("history", "--json", there=True).json["entries"]
    (begun,) = (each["body"] for each in there if each["what"] == "begin")
    assert (begun["approvers"], begun["task"], begun["digest"]) == (["ada@example.org"], task["id"], digest)
    assert site.run("plan", "e").out.startswith("Nothing to do: e is as declared.")


def test_the_same_task_again_is_answered_from_the_journal(site: Site) -> None:
    plan = site.plan()
    assert site.run("apply", plan, "--env", "e").code == 0
    (asked,) = (line for line in (site.folder / "asked").read_text().splitlines() if "--task" in line)
    again = site.run("worker", "e", "--task", asked.partition("--task ")[2], there=True)
    assert (again.code, len(again.json["apply"]["outcomes"])) == (0, 4)
    assert sorted(site.logged()) == each_once("b", "c")
    # Another task for the same plan finds nothing as it was planned.
    stale = site.run("apply", plan, "--env", "e")
    assert stale.code == 6
    assert "s:   b thing /x: it has been settled since" in stale.err
    assert sorted(site.logged()) == each_once("b", "c")


def test_what_fails_there_is_told_here(site: Site) -> None:
    plan = site.plan()
    (site.folder / "c-x").mkdir()  # which is not seen, and cannot be written
    failed = site.run("apply", plan, "--env", "e", "--json")
    results = {f"{each['host']} {each['name']}": each["result"] for each in failed.json["outcomes"]}
    assert (failed.code, results) == (
        4, {"b /x": "done", "b /y": "done", "c /x": "failed", "c /y": "skipped"},
    )  # fmt: skip


def test_what_is_not_signed_is_not_carried_out_whatever_the_policy(site: Site) -> None:
    refused = site.run("apply", site.plan(sign=False), "--env", "e")
    assert refused.code == 8
    assert "s: not approved: approval is needed for 4 of its actions" in refused.err
    site.describe(
        gateway=json.loads((site.folder / "site.json").read_text())["gateway"], policy={"approvers": 0}
    )
    refused = site.run("apply", site.plan("q", sign=False), "--env", "e")
    assert refused.code == 8
    assert "s: not approved: what is carried out at a site from elsewhere has to be signed" in refused.err
    assert site.logged() == []


def test_only_what_the_site_has_a_copy_of_is_carried_out(site: Site) -> None:
    plan = site.plan(bring=False)
    refused = site.run("apply", plan, "--env", "e")
    assert refused.code == 8
    assert "/plans has no plan sha256:" in refused.err
    # Its name does not matter, and a copy that was changed is none.
    copy = site.plans / "any name.json"
    copy.write_text(Path(plan).read_text().replace('"verb": "create"', '"verb": "remove"'), encoding="utf-8")
    assert "its digest does not fit" in (refused := site.run("apply", plan, "--env", "e")).err
    assert refused.code == 8
    shutil.copy(plan, copy)
    shutil.copy(f"{plan}.approvals", f"{copy}.approvals")
    assert site.run("apply", plan, "--env", "e").code == 0


def test_nothing_is_done_where_the_hosts_are_not_as_they_were_planned(site: Site) -> None:
    plan = site.plan()
    (site.folder / "c-x").write_text("otherwise\n")
    refused = site.run("apply", plan, "--env", "e", "--json")
    assert refused.code == 6
    assert "s: the plan is stale" in refused.err
    assert (refused.json["exit_code"], refused.json["outcomes"], site.logged()) == (6, [], [])


def task_of(at: Site, **fields: Any) -> str:
    digest = json.loads(next(iter(at.plans.glob("*.json"))).read_text())["digest"]
    given = {
        "document": "task", "version": 1, "id": "0" * 32, "do": "apply", "environment": "e", "site": "s",
        "digest": digest, "hosts": ["b", "c"], "expires": "2099-01-01T00:00:00Z", **fields,
    }  # fmt: skip
    return json.dumps({name: value for name, value in given.items() if value is not None})


@pytest.mark.parametrize(
    ("fields", "code", "told"),
    [
        ({"hosts": ["b"]}, 64, "p.json: it is of other hosts than the task"),
        ({"hosts": ["b", "elsewhere"]}, 64, "elsewhere: not at the site s"),
        ({"site": "t"}, 64, "the task is for e.t; here is e.s"),
        ({"environment": "f"}, 64, "the task is for f.s; here is e.s"),
        ({"expires": "2020-01-01T00:00:00Z"}, 6, "the task was not to be begun after 2020-01-01T00:00:00Z"),
        ({"digest": f"sha256:{'0' * 64}"}, 8, "plans has no plan sha256:0000"),
        ({"do": "observe", "digest": "0" * 64}, 6, "its copy of the environment, "),
    ],
)
def test_a_task_that_does_not_fit_what_is_here_is_refused(
    site: Site, fields: dict[str, Any], code: int, told: str
) -> None:
    site.plan()
    answer = site.run("worker", "e", "--task", task_of(site, **fields), there=True)
    assert (answer.code, answer.json["exit_code"]) == (code, code)
    assert told in " ".join(answer.json["lines"])
    assert site.logged() == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[", "--task: "),
        ('{"document": "plan"}', 'expected a task for a site, found the document "plan"'),
        ({"do": "rm -rf /"}, "do: expected one of apply, observe"),
        ({"command": "rm"}, "command: no such field is known"),
        ({"id": "../x"}, "id: expected text that matches"),
        ({"hosts": None}, "hosts: is missing"),
        ({"expires": "soon"}, "expires: expected a time with its zone"),
    ],
)
def test_what_is_no_task_is_told_and_not_done(site: Site, text: Any, told: str) -> None:
    site.plan()
    given = text if isinstance(text, str) else task_of(site, **text)
    refused = site.run("worker", "e", "--task", given, there=True)
    assert (refused.code, refused.out) == (64, "")
    assert told in refused.err


def test_what_the_gateway_says_is_checked_and_its_silence_is_not_taken_for_nothing_done(site: Site) -> None:
    plan, gateway = site.plan(), site.folder / "reconcile"
    for said, told in (
        ("echo no", "failed there: it printed no JSON"),
        ('echo \'{"document": "answer", "version": 1}\'', "is missing"),
    ):
        gateway.write_text(f"#!/bin/sh\n{said}\n", encoding="utf-8")
        ended = site.run("apply", plan, "--env", "e")
        assert ended.code == 5
        assert told in ended.err
        assert "what was done on b, c is not known here: `reconcile history` there says it" in ended.err


def test_without_a_folder_for_plans_nothing_is_done_at_a_site_from_here(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.run("worker", "e", there=True)
    refused = site.run("worker", "e", there=True)
    assert (refused.code, refused.out) == (64, "")
    assert "a worker takes its tasks from a stream: set `nats:`" in refused.err
    refused = site.run("worker", "e")
    assert (refused.code, refused.err) == (64, "set RECONCILE_SITE to the site that this machine is at (s)\n")
