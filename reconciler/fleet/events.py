"""What happens on hosts, told as it happens: one stream for whoever watches a look or an apply. Nouns.

A `Fleet` is given one function that takes them, and knows nothing of terminals or logs. It is called from
several threads, also at the same time. Seconds are by a clock that is never put back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from reconciler.model import Ref


@dataclass(frozen=True)
class LookBegan:
    """These hosts are asked now."""

    hosts: tuple[str, ...]


@dataclass(frozen=True)
class HostAnswered:
    """A host has answered a look; `asked` is how many questions of each class."""

    host: str
    seconds: float
    asked: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class HostLost:
    """A host could not be looked at, or not any more: in this run nothing more is done there."""

    host: str
    reason: str


@dataclass(frozen=True)
class StillWaiting:
    """These hosts have been asked, or act, and have not answered for so many seconds."""

    hosts: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class OnItsWay:
    """Something cannot be judged yet, and is waited for; `seconds` is how long at most."""

    ref: Ref
    reason: str
    seconds: float


@dataclass(frozen=True)
class LookEnded:
    """Every host that was asked has answered, or will not."""

    seconds: float


@dataclass(frozen=True)
class ApplyBegan:
    """So many approved actions are carried out now, in rounds."""

    actions: int


@dataclass(frozen=True)
class RoundBegan:
    """The next actions, those that are ready, go to their hosts: how many to each. Rounds count from 1."""

    number: int
    actions: Mapping[str, int]


@dataclass(frozen=True)
class ActionWaits:
    """An action is not ready, and why."""

    ref: Ref
    reason: str


@dataclass(frozen=True)
class ActionBegan:
    """The host has begun with the first step of an action."""

    ref: Ref
    verb: str


@dataclass(frozen=True)
class StepBegan:
    """The host has begun with a step of an action: `number` of `of`, those that put it right counted too."""

    ref: Ref
    number: int
    of: int
    command: str


@dataclass(frozen=True)
class StepEnded:
    """A step has ended, with this status."""

    ref: Ref
    number: int
    of: int
    status: int
    seconds: float


@dataclass(frozen=True)
class ActionEnded:
    """What became of an action, as its commands say: the look that follows has the last word."""

    ref: Ref
    result: str
    seconds: float
    detail: str = ""


@dataclass(frozen=True)
class HostSwitched:
    """A rollout has come one host further: the action that its hosts wait for each other with is done on
    `number` of `of` hosts."""

    ref: Ref
    number: int
    of: int


@dataclass(frozen=True)
class ApplyEnded:
    """No action of this run is left that could be carried out."""

    seconds: float


Event = (
    LookBegan
    | HostAnswered
    | HostLost
    | StillWaiting
    | OnItsWay
    | LookEnded
    | ApplyBegan
    | RoundBegan
    | ActionWaits
    | ActionBegan
    | StepBegan
    | StepEnded
    | ActionEnded
    | HostSwitched
    | ApplyEnded
)
Listen = Callable[[Event], None]
"""Takes each event; what it raises would end the run."""


def ignore(event: Event) -> None:
    """Listens to nothing."""
