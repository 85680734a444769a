"""How bad a fact is: one judgement, whoever asks."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from reconciler.monitor import severity
from reconciler.monitor.status import STATES, LastRun
from reconciler.tls.endpoint import Endpoint
from reconciler.tls.status import ServiceStatus
from reconciler.tls.verify import Check

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
RUN = LastRun(number=1, command="apply", who="ada", began=NOW, ended=NOW, code=0, alive=False)
CHECK = Check(Endpoint("h", "h", "apache", 443, "tls", None), "outside", "ok", "")


@pytest.mark.parametrize(
    ("as_wanted", "issued", "judged"),
    [
        (True, True, ("ok", "as desired")),
        (False, True, ("bad", "not as desired")),
        (None, True, ("warn", "not known")),
        (None, None, ("warn", "not known")),
        (None, False, ("warn", "not yet")),
    ],
)
def test_what_a_service_serves(as_wanted: bool | None, issued: bool | None, judged: tuple[str, str]) -> None:
    each = ServiceStatus("h", "apache", 443, "", as_wanted=as_wanted)
    assert severity.of_service(each, issued) == judged


@pytest.mark.parametrize(
    ("verdict", "issued", "judged"),
    [
        ("ok", False, ("ok", "ok")),
        ("wrong", True, ("bad", "wrong")),
        ("wrong", None, ("bad", "wrong")),
        ("unknown", None, ("warn", "unknown")),
        ("wrong", False, ("warn", "not yet")),
        ("unknown", False, ("warn", "not yet")),
    ],
)
def test_a_check(verdict: str, issued: bool | None, judged: tuple[str, str]) -> None:
    assert severity.of_check(replace(CHECK, verdict=verdict), issued) == judged


def test_that_a_host_which_is_away_answers_nobody_is_no_second_fact() -> None:
    silent, old = replace(CHECK, verdict="wrong"), replace(CHECK, verdict="wrong", expires="2026-01-01")
    assert severity.of_check(silent, True, {"h": "down"}) == ("warn", "no answer")
    assert severity.of_check(silent, None, {"another": "down"}) == ("bad", "wrong")
    assert severity.of_check(old, None, {"h": "down"}) == ("bad", "wrong")


@pytest.mark.parametrize(
    ("code", "alive", "tone"),
    [
        (0, False, "ok"),
        (2, False, "ok"),
        (6, False, "ok"),
        (7, False, "ok"),
        (None, True, "ok"),
        (None, False, "warn"),
        (4, False, "bad"),
        (1, False, "bad"),
    ],
)
def test_the_last_run(code: int | None, alive: bool, tone: str) -> None:
    assert severity.of_run(replace(RUN, code=code, alive=alive)) == tone


def test_the_worst_of_several_and_every_state() -> None:
    assert severity.worst(["ok", "bad", "warn"]) == "bad"
    assert severity.worst([]) == "ok"
    assert set(severity.STATES) == set(STATES)
    assert [name for name, tone in severity.STATES.items() if tone == "ok"] == ["in sync"]
