"""What a survey makes of answers, given or asked of the shell of this machine."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from reconciler.discovery.survey import Survey
from reconciler.fleet import probe
from reconciler.questions.system import CommandResult

NOW = datetime(2026, 11, 23, tzinfo=UTC)
ROUTER = "cn.example.org"
A, B = "a.example.org", "b.example.org"


def ask(*questions: Any) -> list[Any]:
    script = probe.compose(questions, "boundary")
    done = subprocess.run(["sh", "-s"], input=script.encode(), capture_output=True, check=False)
    answers = probe.parse(done.stdout, questions, "boundary")
    return [answers[question] for question in questions]


def survey(
    router: str | None = None, named: Mapping[str, Any] | None = None, **answers: Any
) -> Mapping[str, Any]:
    """What one host's answers say; those that are not given are empty."""
    resource = Survey(host=A, router=router)
    empty: dict[str, Any] = {
        label: CommandResult(1, "") if type(question).__name__ == "Command" else ()
        for label, question in resource.ask().items()
    }
    given_ = {label.replace("_", " "): answer for label, answer in answers.items()}
    state = resource.read({**empty, **given_, **(named or {})}, NOW)
    assert isinstance(state, Mapping)
    return state
