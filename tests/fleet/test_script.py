"""Actions as one script: run by a real shell, cut anywhere, and what the frames then say."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.fleet import probe
from reconciler.fleet import script as runbook
from reconciler.model import Action, Ref, Step
from tests.support.scripted import Ask

BOUNDARY = "0123456789abcdef"


def action(name: str, *steps: Step) -> Action:
    return Action(Ref("h", "thing", name), "change", (), steps)


def step(command: str, stdin: str | None = None) -> Step:
    return Step(command, "because", stdin)


def carried_out(*actions: Action) -> bytes:
    script = runbook.script(actions, (), BOUNDARY)
    return subprocess.run(
        ["sh", "-s"], input=script.encode(), capture_output=True, check=False, timeout=20
    ).stdout


def told(
    actions: list[Action], reply: bytes, ended: bool = True, why: str = ""
) -> dict[str, tuple[str, str]]:
    found = runbook.outcomes(actions, reply, BOUNDARY, ended, why)
    return {each.ref.name: (each.result, each.detail) for each in found}


def test_steps_run_in_order_up_to_the_first_that_fails(tmp_path: Path) -> None:
    log = tmp_path / "log"
    actions = [
        action("one", step(f"echo 1 >>{log}"), step(f"echo 2 >>{log}")),
        action(
            "two", step(f"echo 3 >>{log}"), step("echo what is wrong >&2; exit 9"), step(f"echo 4 >>{log}")
        ),
        action("three", step(f"echo 5 >>{log}")),
    ]
    reply = carried_out(*actions)
    assert log.read_text().split() == ["1", "2", "3"]
    assert told(actions, reply) == {
        "one": ("done", ""),
        "two": ("failed", "what is wrong (status 9 of: echo what is wrong >&2; exit 9)"),
        "three": ("skipped", "an earlier step on this host failed"),
    }


def test_a_step_cannot_leave_the_script_or_spoil_the_next(tmp_path: Path) -> None:
    folder = Path.cwd()
    actions = [
        action("exit", step("exit 0")),
        action("cd", step(f"cd {tmp_path}; PATH=/nowhere; umask 077; set -e")),
        action("where", step("pwd; cat; exit 3")),
    ]
    reply = carried_out(*actions)
    result, detail = told(actions, reply)["where"]
    assert (result, detail) == ("failed", f"{folder} (status 3 of: pwd; cat; exit 3)")


@given(st.text(max_size=300))
def test_what_is_fed_to_a_step_arrives_as_it_is_and_only_there(text: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    feeding = action("x", step("sha256sum; false", stdin=text))
    script = runbook.script([feeding], (), BOUNDARY)
    assert len(text) < 9 or text not in script
    expected = subprocess.run(["sha256sum"], input=text.encode(), capture_output=True, check=True).stdout
    (found,) = runbook.outcomes([feeding], carried_out(feeding), BOUNDARY, True)
    assert found.detail.startswith(expected.decode().strip())


def test_no_command_leaves_a_core_with_what_it_was_fed() -> None:
    unlimited = f"ulimit -S -c $(ulimit -H -c); ulimit -c\n{runbook.script([action('a', step('ulimit -c'))], (), BOUNDARY)}"
    done = subprocess.run(
        ["sh", "-s"], input=unlimited, capture_output=True, text=True, check=True, timeout=20
    )
    before, _, after = done.stdout.partition("begin\n")
    assert before.split()[0] != "0", "a machine where no process may leave one shows nothing"
    assert after.split()[0] == "0"


def test_the_command_that_fails_counts_and_not_what_feeds_it() -> None:
    failing = action("x", step("exit 4", stdin="y" * 200_000))
    assert told([failing], carried_out(failing))["x"] == ("failed", "it gave no reason (status 4 of: exit 4)")


def test_the_script_ends_by_looking() -> None:
    script = runbook.script([action("x", step("true"))], [Ask("y")], BOUNDARY)
    assert script.endswith(probe.compose([Ask("y")], BOUNDARY))


ACTIONS = [
    action("one", step("echo 1"), step("echo 2")),
    action("two", step("echo 3; exit 1"), step("echo 4")),
]


@pytest.mark.parametrize("ended", [True, False])
def test_a_reply_cut_at_any_byte_never_says_more_than_it_knows(ended: bool) -> None:
    whole = carried_out(*ACTIONS)
    right = told(ACTIONS, whole)
    assert [each[0] for each in right.values()] == ["done", "failed"]
    fences = [match.end() for match in re.finditer(rb"\n[0-9a-f]{16}a \d \d \S+\n", whole)]
    for end in range(len(whole)):
        found = told(ACTIONS, whole[:end], ended=ended, why="the line was cut")
        for name, (result, detail) in found.items():
            assert result in (right[name][0], "lost", *(["skipped"] if ended else []))
            assert result != "lost" or "the line was cut" in detail or "report" in detail
        frames = sum(fence <= end for fence in fences)
        assert (found["one"][0] == "done") == (frames >= 4)
        assert found["two"][0] != "done"


def test_where_we_lost_sight_in_the_middle_of_a_step_it_is_named() -> None:
    whole = carried_out(*ACTIONS)
    until = whole.index(f"\n{BOUNDARY}a 0 1 begin\n".encode())
    reply = whole[: until + len(BOUNDARY) + 13]
    found = told(ACTIONS, reply, ended=False, why="the connection was lost")
    assert found["one"] == ("lost", "the connection was lost, during: echo 2")
    assert found["two"] == ("lost", "the connection was lost")


def test_a_step_that_outlasted_its_time_is_lost_and_those_after_it_are_skipped() -> None:
    whole = carried_out(*ACTIONS)
    reply = whole[: whole.index(f"\n{BOUNDARY}a 0 1 0\n".encode())]
    found = told(ACTIONS, reply, ended=True, why="it took longer than 90 s and was ended")
    assert found["one"] == ("lost", "it took longer than 90 s and was ended, during: echo 2")
    assert found["two"] == ("skipped", "it took longer than 90 s and was ended")


def test_a_host_that_reports_nothing_is_not_asked_for_ever() -> None:
    assert told(ACTIONS, b"")["one"] == ("lost", "the host did not report on it")


@given(st.binary(max_size=100), st.integers(0, 300))
def test_garbage_in_the_reply_never_breaks_us(garbage: bytes, at: int) -> None:
    whole = carried_out_once()
    found = told(ACTIONS, whole[:at] + garbage + whole[at:])
    assert {result for result, _ in found.values()} <= {"done", "failed", "lost", "skipped"}


def carried_out_once(kept: list[bytes] = []) -> bytes:  # noqa: B006 - a memory on purpose
    if not kept:
        kept.append(carried_out(*ACTIONS))
    return kept[0]


@pytest.mark.parametrize(
    "frame", ["a 0 0 {nines}", "a {nines} 0 begin", "a 0 {nines} begin", "a 7 7 begin", "a 0 0 0\n\n" * 3]
)
def test_frames_that_we_never_wrote_are_passed_over(frame: str) -> None:
    reply = f"\n{BOUNDARY}{frame.format(nines='9' * 5000)}\n".encode()
    results = [result for result, _ in told(ACTIONS, reply).values()]
    assert results[1] in ("skipped", "lost")


def test_a_failure_is_told_in_a_few_lines_whatever_the_command_says() -> None:
    talking = action("x", step("yes 'a long word' | head -c 3000000; exit 1"))
    detail = told([talking], carried_out(talking))["x"][1]
    assert detail.count("\n") <= 8
    wide = action("x", step("head -c 3000000 /dev/zero | tr '\\0' x; exit 1"))
    result, detail = told([wide], carried_out(wide))["x"]
    assert result == "failed"
    assert len(detail) < 5000
    assert detail.endswith("exit 1)")
