"""What happens on hosts, and what is said of it, as JSON objects: one a line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import Annotated, Any, Literal

from reconciler.document import UNSET, Document, Meta, UnsetType
from reconciler.fleet.events import ActionEnded, Event, HostLost
from reconciler.model import Ref

SECONDS = Meta(description="How long it took, or has been waited for.")


class LogDocument(Document, frozen=True, kw_only=True):
    """What `--log-format json` writes to stderr: a line for each thing that happens. Fields that an event
    does not have are left out."""

    document: Literal["log"] = "log"
    time: Annotated[str, Meta(description="When it was written, in UTC (ISO 8601).")]
    event: Annotated[
        Literal[
            "message",
            "look-began",
            "host-answered",
            "host-lost",
            "still-waiting",
            "on-its-way",
            "look-ended",
            "apply-began",
            "round-began",
            "action-waits",
            "action-began",
            "step-began",
            "step-ended",
            "action-ended",
            "host-switched",
            "apply-ended",
        ],
        Meta(description="What happened; `message`: words for people, in `text`."),
    ]
    level: Annotated[
        Literal["info", "error"],
        Meta(description="`error`: an action that is not done, a host that is lost, or why a command ends."),
    ] = "info"
    text: str | UnsetType = UNSET
    host: str | UnsetType = UNSET
    hosts: list[str] | UnsetType = UNSET
    ref: Annotated[str | UnsetType, Meta(description="HOST KIND NAME")] = UNSET
    verb: str | UnsetType = UNSET
    result: Annotated[str | UnsetType, Meta(description="done, failed, lost")] = UNSET
    reason: str | UnsetType = UNSET
    detail: str | UnsetType = UNSET
    command: Annotated[str | UnsetType, Meta(description="As plans show it: what it is fed is not told.")] = (
        UNSET
    )
    status: Annotated[int | UnsetType, Meta(description="The exit status of a step.")] = UNSET
    number: Annotated[
        int | UnsetType, Meta(description="Of the round, the step, or the hosts that have switched.")
    ] = UNSET
    of: Annotated[int | UnsetType, Meta(description="How many there are.")] = UNSET
    asked: Annotated[dict[str, int] | UnsetType, Meta(description="How many questions of each class.")] = (
        UNSET
    )
    actions: Annotated[
        int | dict[str, int] | UnsetType, Meta(description="How many; of a round, by host.")
    ] = UNSET
    seconds: Annotated[float | UnsetType, SECONDS] = UNSET


def event_document(event: Event, at: datetime) -> LogDocument:
    """An event as a line of the log."""
    given: dict[str, Any] = {each.name: _value(getattr(event, each.name)) for each in fields(event)}
    ref = given.get("ref")
    if ref is not None:
        given["host"] = ref.split(" ", 1)[0]
    if isinstance(event, HostLost) or (isinstance(event, ActionEnded) and event.result != "done"):
        given["level"] = "error"
    name = re.sub(r"(?<!^)(?=[A-Z])", "-", type(event).__name__).lower()
    return LogDocument(time=_time(at), event=name, **given)  # type: ignore[arg-type]  # a test has them all


def message_document(text: str, at: datetime, *, error: bool) -> LogDocument:
    """What is said for people, as a line of the log."""
    return LogDocument(time=_time(at), event="message", level="error" if error else "info", text=text)


def _time(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")


def _value(value: Any) -> Any:
    if isinstance(value, Ref):
        return str(value)
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, tuple) else value
