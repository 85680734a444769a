"""A site that only dials out: its workers take tasks from a stream. Nothing is done twice, and nothing is lost.

The server is a real one, and workers are processes; a worker is given up after two seconds without a sign of life.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli.worker import Worker
from reconciler.cli.workplace import Workplace
from reconciler.environment.settings import Nats
from reconciler.journal.journal import Journal
from reconciler.output.documents.tasks import TaskDocument
from tests.support.nats_server import NatsServer, needs_nats
from tests.support.site import Site, each_once, ended, kill
from tests.support.site_program import Mark, SiteHost, environment


@pytest.fixture
def site(tmp_path: Path, server: NatsServer) -> Iterator[Site]:
    (folder := tmp_path / "site").mkdir()
    made = Site(folder, servers=[server.url])
    yield made
    made.close()


def worker(site: Site) -> subprocess.Popen[str]:
    return site.start("worker", "e", "--json", there=True)


def answers(*workers: subprocess.Popen[str]) -> list[dict[str, Any]]:
    """What workers have answered when they are ended."""
    found = []
    for each in workers:
        os.killpg(each.pid, signal.SIGINT)
        out = each.communicate(timeout=60)[0]
        while out.strip():
            document, at = json.JSONDecoder().raw_decode(out.lstrip())
            found.append(document)
            out = out.lstrip()[at:]
    return found


@needs_nats
def test_a_worker_looks_and_carries_out_what_is_signed(site: Site) -> None:
    at_work = worker(site)
    plan = site.plan()
    assert site.logged() == []
    applied = site.run("apply", plan, "--env", "e", "--json")
    assert applied.code == 0, applied.err
    assert [each["result"] for each in applied.json["outcomes"]] == ["done"] * 4
    assert site.run("observe", "e").code == 0
    assert sorted(site.logged()) == each_once("b", "c")
    assert [each["exit_code"] for each in answers(at_work)] == [0, 0, 0]


@needs_nats
def test_without_a_worker_the_hosts_are_dark_and_say_why(site: Site) -> None:
    dark = site.run("plan", "e", "--timeout", "1")
    assert dark.code == 3
    assert "? b could not be looked at: a worker of the site s: none has answered within 3 s" in dark.out
    assert "is `reconcile worker` running there?" in dark.out


@needs_nats
def test_a_worker_that_is_killed_while_it_acts_is_followed_by_one_that_goes_on(site: Site) -> None:
    first = worker(site)
    plan = site.plan()
    site.hold.touch()
    applying = site.start("apply", plan, "--env", "e", "--json")
    site.until(lambda: len(site.logged()) == 2, "both hosts have begun with /x")
    kill(first)
    # Both steps were cut off. What was begun is begun again, for it has not come to its end.
    site.hold.unlink()
    second = worker(site)
    applied = ended(applying)
    assert applied.code == 0, applied.err
    assert sorted(site.logged()) == sorted([*each_once("b", "c"), "begin b /x", "begin c /x"])
    assert "was interrupted" in applied.err
    assert [each["exit_code"] for each in answers(second)] == [0]


@needs_nats
def test_what_a_killed_worker_had_done_is_not_done_again(site: Site) -> None:
    first = worker(site)
    plan = site.plan()
    applying = site.start("apply", plan, "--env", "e", "--json")
    site.until(lambda: "end b /x" in site.logged(), "/x of b is done")
    site.hold.touch()
    site.until(lambda: "begin b /y" in site.logged() or applying.poll() is not None, "b has begun with /y")
    kill(first)
    site.hold.unlink()
    worker(site)
    assert ended(applying).code == 0
    assert [site.logged().count(f"end {host} {label}") for host in "bc" for label in ("/x", "/y")] == [1] * 4
    assert site.logged().count("begin b /x") == 1


@needs_nats
def test_a_server_that_is_killed_loses_neither_the_task_nor_the_answer(
    site: Site, server: NatsServer
) -> None:
    at_work = worker(site)
    plan = site.plan()
    site.hold.touch()
    applying = site.start("apply", plan, "--env", "e", "--json")
    site.until(lambda: len(site.logged()) == 2, "both hosts have begun with /x")
    server.kill()
    site.hold.unlink()
    site.until(lambda: len(site.logged()) == 8, "all is done")
    server.start()
    applied = ended(applying)
    assert applied.code == 0, applied.err
    assert sorted(site.logged()) == each_once("b", "c")
    assert {each["exit_code"] for each in answers(at_work)} == {0}


@needs_nats
def test_a_task_that_waits_in_a_server_that_is_killed_is_taken_later(site: Site, server: NatsServer) -> None:
    at_work = worker(site)
    plan = site.plan()
    kill(at_work)
    applying = site.start("apply", plan, "--env", "e", "--json")
    assert applying.stderr is not None
    assert "is asked to carry out sha256:" in applying.stderr.readline()
    from tests.support.streams import messages

    nats = Nats(servers=(server.url,))
    site.until(lambda: len(messages(nats, "reconcile.e.s.task")) == 2, "the task is in the stream")
    server.kill()
    server.start()
    worker(site)
    assert ended(applying).code == 0
    assert sorted(site.logged()) == each_once("b", "c")


@needs_nats
def test_a_message_that_is_delivered_twice_is_carried_out_once(site: Site, server: NatsServer) -> None:
    first, second = worker(site), worker(site)
    plan = site.plan()
    site.hold.touch()
    applying = site.start("apply", plan, "--env", "e", "--json")
    site.until(lambda: len(site.logged()) == 2, "both hosts have begun with /x")
    from tests.support.streams import messages, publish

    nats = Nats(servers=(server.url,))
    task = messages(nats, "reconcile.e.s.task")[-1]
    publish(nats, "reconcile.e.s.task", task)  # while the first is at it
    site.hold.unlink()
    assert ended(applying).code == 0
    publish(nats, "reconcile.e.s.task", task)  # and once more when it has ended
    site.until(lambda: not pending(nats), "all messages are acknowledged")
    found = [each for each in answers(first, second) if each["apply"]]
    assert [each["exit_code"] for each in found] == [0, 0, 0]
    assert [each["apply"]["outcomes"] for each in found] == [found[0]["apply"]["outcomes"]] * 3
    assert sorted(site.logged()) == each_once("b", "c")


def pending(nats: Any) -> int:
    from tests.support.streams import unacknowledged

    return unacknowledged(nats, "e_s")


@needs_nats
def test_a_worker_that_comes_back_after_its_task_was_given_to_another_does_nothing_twice(
    site: Site, server: NatsServer
) -> None:
    first = worker(site)
    plan = site.plan()
    site.hold.touch()
    applying = site.start("apply", plan, "--env", "e", "--json")
    site.until(lambda: len(site.logged()) == 2, "both hosts have begun with /x")
    os.kill(first.pid, signal.SIGSTOP)  # it holds its locks, and says nothing any more
    second = worker(site)
    assert second.stderr is not None
    while "task " not in (line := second.stderr.readline()):
        assert line
    os.kill(first.pid, signal.SIGCONT)
    site.hold.unlink()
    applied = ended(applying)
    assert applied.code == 0, applied.err
    assert sorted(site.logged()) == each_once("b", "c")


@pytest.fixture
def at_the_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Site, Worker]]:
    """A site, and a worker there in this process, to which a test delivers."""
    made = Site(tmp_path)
    for name, value in made.environ(there=True).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(Mark, "folder_of", tmp_path, raising=False)
    workplace = Workplace(
        load=lambda env: environment(tmp_path),
        connect=lambda ssh, hosts: [SiteHost(host.name, tmp_path) for host in hosts],
    )
    yield made, Worker("e", "s", workplace)
    made.close()


def test_an_older_task_does_nothing_where_a_newer_one_has_acted_though_all_is_as_it_was_planned(
    at_the_site: tuple[Site, Worker],
) -> None:
    site, here = at_the_site
    older, newer = (task_of(site, name, number * 32) for name, number in (("p", "1"), ("q", "2")))
    done = here.do(newer, 100, 9)
    assert done is not None
    assert done.exit_code == 0
    for each in site.folder.glob("[bc]-[xy]"):
        each.unlink()  # so that the older plan would be carried out as it stands
    late = here.do(older, 100, 8)
    assert late is not None
    assert (late.exit_code, late.apply) == (6, None)
    assert "task 100.8 is older than one that was begun there, 100.9" in " ".join(late.lines)
    assert sorted(site.logged()) == each_once("b", "c")
    # The number alone stood against it.
    again = here.do(older, 101, 1)
    assert again is not None
    assert (again.exit_code, len(site.logged())) == (0, 16)


def test_where_another_run_has_locked_a_host_the_task_is_tried_again(
    at_the_site: tuple[Site, Worker],
) -> None:
    site, here = at_the_site
    task = task_of(site, "p", "1" * 32)
    other = SiteHost("b", site.folder)
    other.lock("somebody")
    assert here.do(task, 100, 1) is None
    other.close()
    done = here.do(task, 100, 1)
    assert done is not None
    assert (done.exit_code, sorted(site.logged())) == (0, each_once("b", "c"))


def test_where_something_had_failed_before_the_end_of_a_worker_nobody_goes_on(
    at_the_site: tuple[Site, Worker],
) -> None:
    site, here = at_the_site
    task = task_of(site, "p", "1" * 32)
    begun = {"task": task.id, "who": "x"}
    for result, code in (("failed", 6), ("done", 0)):
        with Journal() as journal:
            run = journal.begin("e", begun, b"")
            action = {"host": "b", "kind": "thing", "name": "/x"}
            journal.append(run, "e", "intent", {"actions": [{**action, "verb": "create"}]})
            journal.append(run, "e", "outcome", {"outcomes": [{**action, "result": result}]})
        (site.folder / "b-x").write_text("new\n")  # as that run has left it
        done = here.do(task, 100, 1)
        assert done is not None
        assert done.exit_code == code, done.lines
    assert sorted(site.logged()) == sorted(set(each_once("b", "c")) - {"begin b /x", "end b /x"})


def task_of(site: Site, name: str, number: str) -> TaskDocument:
    """A task to carry out a plan, which is made, signed and brought there."""
    digest = json.loads(Path(site.plan(name, there=True)).read_text())["digest"]
    return TaskDocument(
        id=number, do="apply", environment="e", site="s", digest=digest, hosts=["b", "c"],
        expires="2099-01-01T00:00:00Z",
    )  # fmt: skip


def test_a_fault_of_the_program_is_answered_and_ends_no_worker(
    at_the_site: tuple[Site, Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    site, here = at_the_site
    task = task_of(site, "p", "1" * 32)
    monkeypatch.setattr("reconciler.cli.worker.apply_with", lambda *_, **__: 1 // 0)
    done = here.do(task, 100, 1)
    assert done is not None
    assert (done.exit_code, done.apply) == (1, None)
    assert "ZeroDivisionError" in " ".join(done.lines)


@needs_nats
def test_whoever_stops_waiting_is_told_that_the_site_may_begin(site: Site, server: NatsServer) -> None:
    at_work = worker(site)
    plan = site.plan()
    site.hold.touch()
    applying = site.start("apply", plan, "--env", "e")
    site.until(lambda: len(site.logged()) == 2, "both hosts have begun with /x")
    os.killpg(applying.pid, signal.SIGINT)
    stopped = ended(applying)
    assert stopped.code == 130
    assert "no answer was waited for; it may begin until" in stopped.err
    assert "no host was changed" not in stopped.err
    site.hold.unlink()
    site.until(lambda: not pending(Nats(servers=(server.url,))), "the answer is in the stream")
    assert [each["exit_code"] for each in answers(at_work) if each["apply"]] == [0]


@needs_nats
def test_what_is_no_task_is_told_and_dropped(site: Site, server: NatsServer) -> None:
    from tests.support.streams import publish

    at_work = worker(site)
    site.plan()
    nats = Nats(servers=(server.url,))
    for data in (b"", b"{}", b"\x1f\x8b\x08"):
        publish(nats, "reconcile.e.s.task", data)
    site.until(lambda: not pending(nats), "all messages are done with")
    os.killpg(at_work.pid, signal.SIGINT)
    err = at_work.communicate(timeout=60)[1]
    assert err.count("is no task for this site, and is left out") == 3
