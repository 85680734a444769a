"""What a site is asked to do, and what it answers: digests and names, never a command or a secret."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from reconciler.document import Document, Meta, check_name, check_time, read
from reconciler.output.documents.observation import ObservationDocument
from reconciler.output.documents.results import ApplyDocument

Hex = Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]


class TaskDocument(Document, frozen=True, kw_only=True):
    """What a site is asked to do: a message to its workers, and what `reconcile worker --task` takes. Holds
    no command and no secret: what is done is what the site's own copies say."""

    document: Literal["task"] = "task"
    id: Annotated[Hex, Meta(description="Made at random; the answer has the same.")]
    do: Annotated[
        Literal["observe", "apply"],
        Meta(description="Look at these hosts, or carry out the saved plan with this digest."),
    ]
    environment: str
    site: str
    digest: Annotated[
        str,
        Meta(
            pattern="^(sha256:)?[0-9a-f]{64}$",
            description="Of the environment file as `observe` tells it, or of the saved plan.",
        ),
    ]
    hosts: Annotated[list[str], Meta(min_length=1, description="All of them at the site.")]
    expires: Annotated[str, Meta(description="It is not begun later (ISO 8601).")]

    def __post_init__(self) -> None:
        check_time("expires", self.expires)

    @property
    def expiry(self) -> datetime:
        """Until when it may be begun, in UTC."""
        return datetime.fromisoformat(self.expires).astimezone(UTC)


class AnswerDocument(Document, frozen=True, kw_only=True):
    """What a site answers to a task, and `reconcile worker --json` prints. Holds no secret."""

    document: Literal["answer"] = "answer"
    id: Annotated[Hex, Meta(description="Of the task.")]
    exit_code: Annotated[int, Meta(description="As of `observe`, or of `apply`.")]
    lines: Annotated[list[str], Meta(description="What was said on the way, and why it ended so.")]
    observation: ObservationDocument | None = None
    apply: ApplyDocument | None = None


@dataclass(frozen=True)
class Order:
    """Which task a run is for, and the digest of the plan that it names. `epoch` and `number` are its place
    in the stream it came from: when that was made (seconds since 1970), and the number of the message; both
    0 where it came over ssh."""

    task: str
    digest: str
    epoch: int = 0
    number: int = 0


def read_task(found: Any) -> TaskDocument:
    """The task in parsed JSON, its types checked. Raises `NotADocument`."""
    check_name(found, "task", "a task for a site")
    return read(TaskDocument, found)


def read_answer(found: Any, task: TaskDocument) -> AnswerDocument:
    """The answer to a task in parsed JSON, its types checked. Raises `NotADocument`, and ValueError where it
    is of another task."""
    check_name(found, "answer", "the answer to a task")
    answer = read(AnswerDocument, found)
    if answer.id != task.id:
        raise ValueError(f"it answers another task ({answer.id})")
    return answer


def answer(
    task: TaskDocument,
    code: int,
    lines: Sequence[str],
    *,
    observation: ObservationDocument | None = None,
    apply: ApplyDocument | None = None,
) -> AnswerDocument:
    """How a task ended."""
    return AnswerDocument(id=task.id, exit_code=code, lines=list(lines), observation=observation, apply=apply)
