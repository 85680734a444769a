"""The nouns of the program, and nothing that acts.

A *resource* is one thing that should be so on one host. Its *state* is a flat mapping of field to value; a
resource that is not there has no state (`None`). What is seen and what is wanted are compared by one generic
function (`diff`), and the *deltas* become an *action* with the *steps* that settle them.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Mapping
from dataclasses import MISSING, dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Protocol

from reconciler.refs import Joint as Joint  # noqa: PLC0414 - it is a noun, too
from reconciler.refs import OwnRef
from reconciler.refs import Ref as Ref  # noqa: PLC0414
from reconciler.unknowns import is_unknown

Value = str | int | bool | None
State = Mapping[str, Value]


@dataclass(frozen=True)
class CannotSee:
    """In place of a state or an answer: the account may not look, or lacks the means. That is not its
    absence: nothing is planned for it, and the verdict about its host is incomplete."""

    reason: str


@dataclass(frozen=True)
class InTransit(CannotSee):
    """In place of a state: it is on its way, as a service that is starting, and cannot be judged yet. For
    `seconds` whoever looks looks again; what is so then is judged by `instead`, where there is one."""

    seconds: float = 0
    instead: State | None = None


Seen = State | None | CannotSee
"""A resource's state, `None` where it is absent, or why that could not be seen."""


@dataclass
class Observation:
    """What was seen: a state for each resource of each host that answered."""

    seen: dict[Ref, Seen] = field(default_factory=dict)
    unreachable: dict[str, str] = field(default_factory=dict)
    warnings: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Place:
    """Where in a file something was asked for. Lines and columns count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True)
class Delta:
    """One field that differs. `text` is a unified diff where the values are digests."""

    field: str
    seen: Value
    want: Value
    text: str | None = None


@dataclass(frozen=True)
class Step:
    """A shell command that an administrator could run by hand, and why.

    `stdin` is fed to the command and never shown; `public`: nothing in it is secret. `minutes` is how long it
    may take; one of more is a round of its own. Of a saved step's stdin only `bytes_fed`, its size, and the
    `commitment` to it are known. `where`: the paths (`questions.locations`) that decide as whom it is taken.
    """

    command: str
    why: str
    stdin: str | None = None
    minutes: int = 1
    bytes_fed: int | None = None
    public: bool = False
    commitment: str | None = None
    where: tuple[str, ...] = field(default=(), compare=False)

    @property
    def fed(self) -> int | None:
        """How many bytes it is fed; `None` where it is fed nothing."""
        return self.bytes_fed if self.stdin is None else len(self.stdin.encode())


@dataclass(frozen=True)
class Action:
    """What settles the deltas of one resource. `after` names the actions it waits for, and `follows` those
    that go first if they can (see `Resource.follows`); `blocked` says why it cannot be carried out in this
    run, whatever else happens; `rescue` is carried out, all of it, where one of the steps has failed."""

    ref: Ref
    verb: str
    deltas: tuple[Delta, ...]
    steps: tuple[Step, ...]
    rescue: tuple[Step, ...] = ()
    after: tuple[Ref, ...] = ()
    follows: tuple[Ref, ...] = field(default=(), compare=False)
    blocked: str | None = None
    seen_digest: str = ""
    place: Place | None = field(default=None, compare=False)
    subject: str = field(default="", compare=False)

    @property
    def has_unknowns(self) -> bool:
        """Whether part of it can only be known once another action has been carried out."""
        steps = (*self.steps, *self.rescue)
        texts = [d.want for d in self.deltas] + [s.command for s in steps] + [s.stdin for s in steps]
        return any(is_unknown(text) for text in texts)

    @property
    def minutes(self) -> int:
        """How long the whole action may take."""
        return max((each.minutes for each in self.steps), default=1) + sum(e.minutes for e in self.rescue)


VERBS = {"create": "+", "change": "~", "remove": "-", "reload": "!", "restart": "!"}
"""Every verb of an action, and its symbol."""


@dataclass(frozen=True)
class Plan:
    """What would be done, in order, and what could not be judged."""

    environment: str
    actions: tuple[Action, ...]
    unreachable: Mapping[str, str] = field(default_factory=dict)
    unknown: Mapping[Ref, str] = field(default_factory=dict)
    hosts: tuple[str, ...] = ()
    resources: int = 0
    in_transit: frozenset[Ref] = field(default=frozenset(), compare=False)
    """Those of `unknown` that are on their way, and can be judged soon."""
    wants: Mapping[Ref, State | None] = field(default_factory=dict, compare=False)
    """What is wanted, of each resource that could be judged, also where it is so."""
    notes: Mapping[Ref, tuple[str, ...]] = field(default_factory=dict, compare=False)

    @property
    def complete(self) -> bool:
        """Whether every resource of every host could be judged."""
        return not self.unreachable and not self.unknown


@dataclass(frozen=True)
class Outcome:
    """What became of an action: done, unsettled, failed, skipped or lost. `put_back` says of a
    failed one that its rescue has succeeded, `as_found` of one that failed or was lost that its host
    is no worse than the run has found it."""

    ref: Ref
    result: str
    detail: str = ""
    put_back: bool = field(default=False, compare=False)
    as_found: bool = field(default=False, compare=False)


def quote(value: str | int) -> str:
    """The one way a value reaches a shell: as one word that the shell takes as it is."""
    return shlex.quote(str(value))


class Question(Protocol):
    """Something to ask a host. Questions of one class are asked together by one command.

    `script` is POSIX shell that answers them all on stdout; `parse` takes what it printed,
    and returns one answer for each question, `CannotSee` where there is none."""

    @classmethod
    def script(cls, questions: list[Any]) -> str: ...

    @classmethod
    def parse(cls, output: bytes, questions: list[Any]) -> list[Any]: ...


class View(Protocol):
    """What a resource may know of others when it says what it wants."""

    def own(self) -> Seen:
        """The resource's own state, as it was seen."""

    def value(self, ref: Ref, name: str) -> Value | CannotSee:
        """A field of another resource: its value, unknown (known after apply) while an
        action on it is pending, `CannotSee` where its host cannot be looked at."""

    def is_unreachable(self, host: str) -> bool:
        """Whether a host cannot be looked at."""


@dataclass(frozen=True)
class Change:
    """What `Resource.steps` gets: the deltas by field, and both states whole."""

    deltas: Mapping[str, Delta]
    seen: State | None
    want: State | None

    @property
    def creates(self) -> bool:
        return self.seen is None

    @property
    def removes(self) -> bool:
        return self.want is None


@dataclass(frozen=True)
class LocalFile:
    """A key of the YAML that names a file beside it, whose text becomes the value of an option.

    `filled`: its `$name`s are filled in for each host. `secret`: the text (without the newline at
    its end) is a secret, and the kind's option `secret` is set."""

    text: str
    filled: bool = False
    secret: bool = False


def option(
    text: str,
    *,
    default: Any = MISSING,
    schema: Mapping[str, Any] | None = None,
    needed: bool = False,
    files: Mapping[str, LocalFile] | None = None,
) -> Any:
    """A field that the YAML may set.

    text    its one-line description, for the reference and for editors
    default what it is where the YAML does not set it; without one it must be set
    schema  what its JSON Schema says beyond the type
    needed  it must be set, or one of its `files`, unless it is absent; `default` only stands in for it
    files   keys that may be set in its place, each naming a local file
    """
    more = {"doc": text, "schema": dict(schema or {}), "needed": needed, "files": dict(files or {})}
    return field(default=default, metadata=more)


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One thing that should be so on one host. A kind is a subclass with four methods.

    `needs` must be settled first, on any host; `follows` go first if they can, and hold nothing up. `place`
    is the line of the YAML that asks for it, `part` the `Subject` of the blueprint's part that does."""

    kind: ClassVar[str]
    title: ClassVar[str]
    """The field that names the resource among those of its kind; the YAML calls it like the kind."""
    subject: ClassVar[str] = ""
    """The `Subject` under which a plan has it, unless the blueprint says another."""
    declarable: ClassVar[bool] = True
    """Whether the YAML may declare it, or only the blueprint."""
    renews: ClassVar[bool] = False
    """Whether it helps to bring an issued certificate to the services: what a policy calls `renewal`."""
    reversible: ClassVar[bool] = True
    """Whether declaring what was declared before undoes it; a proof cannot be undone."""
    depends: ClassVar[bool] = False
    """Whether its desired state cannot be known where one that it refers to was not looked at."""
    unknowns: ClassVar[Mapping[str, str]] = {}
    """Which of `unknowns.TYPES` its fields are that others refer to; by default words."""
    observed_on_peers: ClassVar[bool] = False
    """Whether what its steps bring about is seen on the hosts that it refers to."""
    asides: ClassVar[str] = ""
    """How those of its fields begin that a look may tell otherwise: no approval depends on what it told."""

    host: str
    needs: tuple[Ref, ...] = ()
    follows: tuple[Ref | Joint, ...] = ()
    place: Place | None = field(default=None, compare=False)
    part: str = field(default="", compare=False)
    absent: bool = option("Remove it instead.", default=False)
    ref = OwnRef()

    @property
    def name(self) -> str:
        return str(getattr(self, self.title))

    def ask(self) -> Mapping[str, Question]:
        """The questions to the host, each under a label of the kind's own."""
        raise NotImplementedError

    def read(self, answers: Mapping[str, Any], now: datetime) -> Seen:
        """The state, from the answers under the same labels."""
        raise NotImplementedError

    def with_pending(self, seen: State, pending: tuple[str, ...]) -> State:
        """What will be seen once what it watches has changed; `pending` names that."""
        return seen

    def want(self, look: View) -> State | None | CannotSee:
        """The fields that should be so; `None` where the thing should be absent, `CannotSee` where it
        cannot be known, so that it is never called as desired."""
        raise NotImplementedError

    def steps(self, change: Change) -> Iterable[Step]:
        """The commands that settle the deltas, in order."""
        raise NotImplementedError

    def rescue(self, change: Change) -> Iterable[Step]:
        """What puts things right again where one of the steps has failed; all of it is tried."""
        return ()

    @classmethod
    def risks(cls, action: Action) -> Iterable[str]:
        """What a reader should know of an action of this kind before all else: one of `Risk`."""
        return ()

    @classmethod
    def is_aside(cls, name: str) -> bool:
        """Whether a field is one that a look may tell otherwise; see `asides`."""
        return bool(cls.asides) and name.startswith(cls.asides)

    def verb(self, change: Change) -> str:
        """One of `VERBS`."""
        return "create" if change.creates else "remove" if change.removes else "change"

    def needed(self, seen: Mapping[Ref, Seen]) -> Iterable[Ref]:
        """Those of `needs`, and others, that must be settled first, as things are."""
        return self.needs

    def following(self, seen: Mapping[Ref, Seen]) -> Iterable[Ref | Joint]:
        """Those of `follows`, and others, that go first if they can, as things are."""
        return self.follows

    def is_local(self, change: Change) -> bool:
        """Whether a change concerns its own host alone, and so waits for nothing of another."""
        return False

    def insists(self, change: Change) -> bool:
        """Whether a change waits for all that it `follows`, also for what is lost or refused."""
        return False

    def tolerates(self, seen: Seen) -> int:
        """How many of its own kind that it `follows` may fail, and be no worse for it, before it waits."""
        return 0

    def canaries(self, seen: Seen) -> Collection[Ref]:
        """Those of its own kind that it `follows` of which none may fail, by what was seen of it."""
        return ()

    def is_away(self, seen: Seen) -> bool:
        """Whether something was begun with it that was neither proven nor put back."""
        return False

    def is_worse(self, found: Seen, now: Seen) -> bool:
        """Whether what is seen of it after a change that failed is worse than how it was found."""
        return True

    def refuses(self, change: Change) -> str | None:
        """Why this change is not made, and what the administrator can do instead."""
        return None

    def lacks(self, others: Iterable[Action]) -> str | None:
        """Why it cannot be created: what brings it is not there, nor is it one of the others of its host."""
        return None

    def notes(self, seen: State, change: Change | None) -> Iterable[str]:
        """What an administrator should know or do beside what apply does, a line each."""
        return ()

    def diff_text(self, delta: Delta, seen: State | None) -> str | None:
        """A unified diff for a delta whose values are digests, where one may be shown."""
        return None

    def provides(self) -> Iterable[str]:
        """Tokens such as `path:/etc/x` that other resources on the host may require."""
        return ()

    def requires(self) -> Iterable[str]:
        """Tokens of what must be settled first, where it is declared at all."""
        return ()

    def refers(self) -> Iterable[Ref]:
        """Resources, of other hosts too, whose seen state is a part of what is wanted."""
        return ()

    def held_by(self, other: Ref, action: Action, pending: Action | None) -> bool:
        """Whether this action on it waits for `other`, which comes before it; `pending` is open there."""
        return True

    def replacement(self, seen: State) -> Resource:
        """The same, but wanting another than what was seen, although that is as declared."""
        raise NotImplementedError

    def watches(self) -> Iterable[str]:
        """Paths (with all below them) whose change this resource has to follow."""
        return ()
