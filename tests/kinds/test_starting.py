"""When a service that has just started is waited for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from reconciler.kinds.certificate.answer import Answer
from reconciler.kinds.service import Service
from reconciler.model import InTransit, Ref, Seen
from reconciler.questions.system import CommandResult

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ON_DISK, OLDER = "a" * 64, b"b" * 64
LOADS = ("/etc/x",)


def service(
    *, state: str = "active", record: bytes | None = None, in_group: bool = True, **declared: Any
) -> Seen:
    """What is seen of a unit that was started 3 s ago and listens on none of its ports."""
    resource = Service(host="h", unit="x", ports=(443,), **declared)
    answers = {
        "unit": {"LoadState": "loaded", "ActiveState": state, "UnitFileState": "enabled", "Age": "3"},
        "ports": frozenset({80}),
        "group": CommandResult(0 if in_group else 1, ""),
        "tree": ON_DISK,
        "record": record,
    }
    return resource.read({label: answers[label] for label in resource.ask()}, NOW)


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param(service(), id="nothing is known of what it loads"),
        pytest.param(service(loads=LOADS, record=ON_DISK.encode()), id="it has loaded what is on disk"),
        pytest.param(service(group="g"), id="it is in its group"),
        pytest.param(service(state="activating", loads=LOADS), id="systemd has not started it yet"),
    ],
)
def test_a_service_that_may_come_to_listen_is_waited_for(seen: Seen) -> None:
    assert isinstance(seen, InTransit)
    assert seen.seconds == 27


@pytest.mark.parametrize(
    ("seen", "owed"),
    [
        pytest.param(
            service(loads=LOADS), ("loaded", "not known: it was never reloaded by us"), id="never loaded"
        ),
        pytest.param(
            service(loads=LOADS, record=OLDER), ("loaded", "older than on disk"), id="loaded another"
        ),
        pytest.param(service(group="g", in_group=False), ("in group g", False), id="not in its group"),
    ],
)
def test_a_service_that_is_owed_a_reload_in_any_case_is_not_waited_for(
    seen: Seen, owed: tuple[str, str | bool]
) -> None:
    assert isinstance(seen, dict)
    assert (owed[0], seen[owed[0]]) == owed
    assert seen["port 443"] is False


@pytest.mark.parametrize(
    ("said", "record", "waited"),
    [
        ("there", ON_DISK.encode(), True),
        ("there", OLDER, False),
        ("there", None, False),
        ("here", None, False),
    ],
)
def test_an_answer_is_waited_for_where_what_is_loaded_could_give_it(
    said: str, record: bytes | None, waited: bool
) -> None:
    link, owner = Ref("h", "current", "/l"), Ref("h", "service", "apache2")
    answer = Answer(
        host="h", path="/x", text="here", names=("n",), established=(link,), owner=owner, loads=LOADS
    )
    unit = {"LoadState": "loaded", "ActiveState": "active", "Age": "3"}
    given = {"unit": unit, "tree": ON_DISK, "record": record, "n": CommandResult(0, said)}
    seen = answer.read({label: given[label] for label in answer.ask()}, NOW)
    assert isinstance(seen, InTransit) is waited
