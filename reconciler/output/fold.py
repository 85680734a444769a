"""A plan folded for reading: actions that say the same of several hosts are one entry. Pure.

Two actions are one entry only where each text of the one is the same as that of the other, as it
stands or once hosts are named by their role: the action's own host, and others in the order in which
it names them. So each action is in exactly one entry, and an entry says all that its actions say.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from reconciler import kinds
from reconciler.model import Action, Delta, Plan, Ref, Resource, Value
from reconciler.refs import short_names
from reconciler.subjects import Risk, Subject

OWN, PEER = "<host>", "<peer>"
"""What a folded entry prints in place of an action's own host, and of another."""

_ORDER: Mapping[str, int] = {subject: number for number, subject in enumerate(Subject)}


@dataclass(frozen=True)
class Entry:
    """Actions that say the same, in the plan's order. `shown` is what they say, with hosts by their
    roles where their names differ; `peers` are, for each action, the other hosts that `shown` names so."""

    actions: tuple[Action, ...]
    shown: Action
    peers: tuple[tuple[str, ...], ...]

    @property
    def subject(self) -> str:
        """Its heading: the blueprint's, or else that of its kind."""
        return self.shown.subject or _kind(self.shown).subject

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts of its actions, each once."""
        return tuple(dict.fromkeys(action.ref.host for action in self.actions))

    @property
    def risks(self) -> frozenset[str]:
        """What of it a reader should know first; see `risks`."""
        return frozenset(each for action in self.actions for each in risks(action))


def risks(action: Action) -> Iterable[str]:
    """What a reader should know of an action first: by its kind, and what holds for any kind."""
    if action.blocked:
        yield Risk.REFUSED
        return
    if action.verb == "remove":
        yield Risk.REMOVAL
    yield from _kind(action).risks(action)


def _kind(action: Action) -> type[Resource]:
    return kinds.KINDS.get(action.ref.kind, Resource)


def by_subject(entries: Sequence[Entry]) -> list[tuple[str, list[Entry]]]:
    """A plan's entries under their headings: the headings as the procedure has them, the entries of
    each in the plan's order, but what is about the same thing on several hosts stands together."""
    first: dict[tuple[str, str], int] = {}
    for number, each in enumerate(entries):
        first.setdefault((each.shown.ref.kind, each.shown.ref.name), number)

    def place(each: Entry) -> tuple[int, str, int]:
        ref = each.shown.ref
        return _ORDER.get(each.subject, len(_ORDER)), each.subject, first[ref.kind, ref.name]

    return [
        (subject, list(group))
        for subject, group in groupby(sorted(entries, key=place), lambda each: each.subject)
    ]


def fold(plan: Plan) -> list[Entry]:
    """The plan's actions as entries, in the order of the first action of each."""
    names = _names({*plan.hosts, *plan.unreachable, *(action.ref.host for action in plan.actions)})
    alike: dict[object, list[_Growing]] = defaultdict(list)
    entries: list[_Growing] = []
    for action in plan.actions:
        said = _Said.of(action, names)
        found = next((each for each in alike[said.shape] if each.takes(said)), None)
        if found is None:
            found = _Growing([], list(said.raw), list(said.parts))
            alike[said.shape].append(found)
            entries.append(found)
        found.add(said)
    return [each.entry() for each in entries]


def _names(hosts: Iterable[str]) -> re.Pattern[str] | None:
    """Matches the whole name of any host, the longest first."""
    known = sorted(hosts, key=lambda each: (-len(each), each))
    whole = "|".join(re.escape(each) for each in known if each)
    return re.compile(rf"(?<![\w.-])({whole})(?![\w-]|\.\w)") if whole else None


_Parts = tuple[str | int, ...]
"""A text between host names, and each of these as its role: 0 the own host, then others by number."""


@dataclass(frozen=True)
class _Said:
    """The texts of an action as they stand and by roles; `shape` is what they must have in common."""

    action: Action
    raw: tuple[str, ...]
    parts: tuple[_Parts, ...]
    peers: tuple[str, ...]
    shape: object

    @classmethod
    def of(cls, action: Action, names: re.Pattern[str] | None) -> _Said:
        """What an action says."""
        raw = tuple(_texts(action))
        roles = {action.ref.host: 0}
        parts = tuple(_by_role(text, names, roles) for text in raw)
        form = tuple(tuple(0 if isinstance(part, int) else part for part in each) for each in parts)
        return cls(action, raw, parts, tuple(roles)[1:], (action.subject, action.verb, _form(action), form))


def _by_role(text: str, names: re.Pattern[str] | None, roles: dict[str, int]) -> _Parts:
    pieces = names.split(text) if names else [text]
    return tuple(
        roles.setdefault(piece, len(roles)) if number % 2 else piece for number, piece in enumerate(pieces)
    )


def _texts(action: Action) -> Iterator[str]:
    """Every text of an action that is printed, in an order that `_with_texts` knows."""
    yield action.ref.name
    yield action.blocked or ""
    for delta in action.deltas:
        yield delta.field
        yield from (delta.text,) if delta.text is not None else map(_text, (delta.seen, delta.want))
    for step in (*action.steps, *action.rescue):
        yield from (step.command, step.why)


def _text(value: Value) -> str:
    return value if isinstance(value, str) else ""


def _form(action: Action) -> object:
    """What two actions of one entry have in common beside their texts.

    Digests are not printed where a text is, and neither are counts of bytes that differ with a name.
    """
    texts = any(delta.text is not None for delta in action.deltas)
    return (
        action.ref.kind,
        action.blocked is None,
        tuple(d.text is None and (_type(d.seen), _type(d.want)) for d in action.deltas),
        tuple((None if texts else step.fed, step.fed is None) for step in action.steps),
        tuple((None if texts else step.fed, step.fed is None) for step in action.rescue),
    )


def _type(value: Value) -> object:
    return str if isinstance(value, str) else (type(value), value)


@dataclass
class _Growing:
    """An entry as it grows: what is the same in all of it as it stands, and what by roles."""

    said: list[_Said]
    raw: list[str | None]
    parts: list[_Parts | None]

    def takes(self, other: _Said) -> bool:
        """Whether each text would still be the same as it stands or by roles."""
        return all(
            raw == new or parts == by_role
            for raw, parts, new, by_role in zip(self.raw, self.parts, other.raw, other.parts, strict=True)
        )

    def add(self, other: _Said) -> None:
        self.said.append(other)
        self.raw = [raw if raw == new else None for raw, new in zip(self.raw, other.raw, strict=True)]
        self.parts = [a if a == b else None for a, b in zip(self.parts, other.parts, strict=True)]

    def entry(self) -> Entry:
        """It as it is now; where a text differs between hosts, they are named by their roles."""
        first = self.said[0]
        # Each text is the same in one of the two ways: `takes` has seen to that.
        both = [(raw, parts or ()) for raw, parts in zip(self.raw, self.parts, strict=True)]
        named = {role for raw, parts in both if raw is None for role in parts if isinstance(role, int)}
        used = sorted(named - {0})
        labels = {0: OWN} | {role: _label(number, len(used)) for number, role in enumerate(used, 1)}
        texts = [
            raw if raw is not None else "".join(labels[p] if isinstance(p, int) else p for p in parts)
            for raw, parts in both
        ]
        peers = tuple(tuple(said.peers[role - 1] for role in used) for said in self.said)
        return Entry(tuple(said.action for said in self.said), _with_texts(first.action, texts), peers)


def _label(number: int, of: int) -> str:
    return PEER if of == 1 else f"{PEER[:-1]} {number}>"


def _with_texts(action: Action, texts: Iterable[str]) -> Action:
    """The action with other texts, in the order of `_texts`. Of digests that are not printed it keeps
    its own."""
    left = iter(texts)
    name, blocked = next(left), next(left)
    deltas = tuple(_delta(delta, left) for delta in action.deltas)
    steps, rescue = (
        tuple(replace(step, command=next(left), why=next(left)) for step in steps)
        for steps in (action.steps, action.rescue)
    )
    return replace(
        action, ref=Ref(action.ref.host, action.ref.kind, name), blocked=blocked or action.blocked,
        deltas=deltas, steps=steps, rescue=rescue,
    )  # fmt: skip


def _delta(delta: Delta, texts: Iterator[str]) -> Delta:
    field = next(texts)
    if delta.text is not None:
        return replace(delta, field=field, text=next(texts))
    seen, want = next(texts), next(texts)
    return Delta(
        field,
        seen if isinstance(delta.seen, str) else delta.seen,
        want if isinstance(delta.want, str) else delta.want,
    )


def hosts_text(entry: Entry, everyone: Sequence[str]) -> str:
    """Which hosts an entry is about, and which others it names for each; `everyone` are the plan's.

    Short names, where that is enough to tell them apart.
    """
    short = short_names(everyone)
    peers: dict[str, list[str]] = {host: [] for host in entry.hosts}
    for action, others in zip(entry.actions, entry.peers, strict=True):
        peers[action.ref.host] += others
    if not any(peers.values()):
        return _listed(entry.hosts, everyone, short)
    if all(named == [each for each in everyone if each != host] for host, named in peers.items()):
        return f"{_listed(entry.hosts, everyone, short)} → each other host"
    return "; ".join(
        f"{short.get(host, host)} → {', '.join(short.get(each, each) for each in named)}"
        for host, named in peers.items()
    )


def _listed(hosts: Sequence[str], everyone: Sequence[str], short: Mapping[str, str]) -> str:
    left = [host for host in everyone if host not in hosts]
    if len(hosts) > 2 and not left:
        return f"all {len(hosts)} hosts"
    if 0 < len(left) < len(hosts) // 2:
        return f"{len(hosts)} hosts, all but {', '.join(short.get(host, host) for host in left)}"
    return ", ".join(short.get(host, host) for host in hosts)
