"""How hosts and resources are named on the command line: one spelling for every flag and argument.

A host: its name; its first label, where no other host has the same; a pattern (`cn-*`). A group: its hosts.
A resource: `HOST KIND NAME` as a plan prints it, `KIND NAME` or `KIND:NAME`, and `KIND` or `HOST KIND` for
all of a kind; each part may be a pattern. `!` before either takes away from what the others name, or from
everything where there are no others. In a pattern, `*` stands for slashes and spaces too. Pure.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TypeVar

from reconciler.model import Ref

NEAREST = 5
"""How many resources an error names at most."""
Named = TypeVar("Named", str, Ref)


class Unmatched(Exception):
    """An expression that names nothing, or not clearly; `lines` say what there is instead."""

    def __init__(self, *lines: str) -> None:
        self.lines = lines
        super().__init__(*lines)


def hosts(
    texts: Iterable[str], known: Sequence[str], groups: Mapping[str, Collection[str]] | None = None
) -> set[str]:
    """The hosts that the expressions of --host name. Raises `Unmatched`."""
    named = groups or {}
    return _combined(
        "--host", texts, known, lambda name, label: named.get(name) or _hosts(name, known, label, named)
    )


def resources(flag: str, texts: Iterable[str], refs: Sequence[Ref]) -> set[Ref]:
    """The resources that the expressions of a flag name. Raises `Unmatched`."""
    return _combined(flag, texts, refs, lambda name, label: _resources(name, refs, label))


def one(text: str, refs: Sequence[Ref]) -> Ref:
    """The one resource that an expression names. Raises `Unmatched`, also where it names several."""
    found = sorted(_resources(text, refs, text))
    if len(found) == 1:
        return found[0]
    raise Unmatched(
        f"{text}: {len(found)} resources match; say which one (--host, or HOST KIND NAME):",
        *(f"    {ref}" for ref in found[:NEAREST]),
        *([f"    and {len(found) - NEAREST} more"] if len(found) > NEAREST else ()),
    )


def _combined(
    flag: str,
    texts: Iterable[str],
    everything: Iterable[Named],
    matching: Callable[[str, str], Iterable[Named]],
) -> set[Named]:
    """What the expressions name, without what those with `!` name; something in any case."""
    chosen: set[Named] = set()
    excluded: set[Named] = set()
    texts = list(texts)
    for text in texts:
        found = matching(text.removeprefix("!"), f"{flag} {text}")
        (excluded if text.startswith("!") else chosen).update(found)
    if all(text.startswith("!") for text in texts):
        chosen = set(everything)
    if not chosen - excluded:
        raise Unmatched(f"{' '.join(f'{flag} {text}' for text in texts)}: excludes everything")
    return chosen - excluded


def _hosts(name: str, known: Sequence[str], label: str, groups: Iterable[str] = ()) -> list[str]:
    if name in known:
        return [name]
    found = [host for host in known if _fits(name, host) or _fits(name, _first_label(host))]
    if len(found) > 1 and not _is_pattern(name):
        several = ", ".join(sorted(found))
        raise Unmatched(f"{label}: {name} is the short name of several hosts: {several}; write one of them")
    if not found:
        there = ", ".join(sorted(known)) or "none"
        near = _did_you_mean(name, [*known, *map(_first_label, known), *groups])
        of = f"; groups: {', '.join(sorted(groups))}" if groups else ""
        raise Unmatched(f"{label}: no such host; known: {there}{of}{near}")
    return found


def _resources(name: str, refs: Sequence[Ref], label: str) -> list[Ref]:
    # As it is, before it is read as a pattern: `*` may be in a name.
    if exact := [ref for ref in refs if name in (str(ref), *_without_host(ref))]:
        return exact
    found = [ref for ref in refs if _is_of(name, ref)]
    host, _, rest = name.partition(" ")
    if rest and any(_is_of(rest, ref) for ref in refs):
        known = sorted({ref.host for ref in refs})
        if any(_fits(host, each) or _fits(host, _first_label(each)) for each in known):
            meant = _hosts(host, known, label)
            found += [ref for ref in refs if ref.host in meant and _is_of(rest, ref)]
    if not found:
        raise Unmatched(*_no_match(name, refs, label))
    return found


def _no_match(name: str, refs: Sequence[Ref], label: str) -> Iterator[str]:
    """What there is instead: the kinds, where only a kind was named, or else the nearest resources."""
    kinds = sorted({ref.kind for ref in refs})
    near = [] if re.fullmatch(r"[^\s:]+:?", name) else nearest(name, refs)
    if near:
        yield f"{label}: no resource matches; expected HOST KIND NAME, as the plan prints it; nearest:"
        yield from (f"    {ref}" for ref in near)
        return
    meant = _did_you_mean(name, kinds)
    if any(name in (ref.host, _first_label(ref.host)) for ref in refs):
        meant = f"; {name} is a host: `--host {name}`, or HOST KIND NAME"
    yield f"{label}: no resource matches; kinds: {', '.join(kinds)}{meant}"


def nearest(text: str, refs: Iterable[Ref]) -> list[Ref]:
    """The resources whose names are most like the text, the likest first: those that begin so, those of
    its kind and name on another host, and those that are spelled alike."""
    by_spelling: dict[str, Ref] = {}
    for ref in sorted(refs):
        for kind in _without_host(ref):
            for spelling in (kind, f"{ref.host} {kind}", f"{_first_label(ref.host)} {kind}"):
                by_spelling.setdefault(spelling, ref)
    begun = [each for each in by_spelling if each.startswith(text)]
    rest = text.partition(" ")[2]
    elsewhere = [each for each, ref in by_spelling.items() if rest and _is_of(rest, ref)]
    first = re.split(r"[\s:]", text, maxsplit=1)[0]
    of_first = [each for each in by_spelling if each.startswith((f"{first} ", f"{first}:"))]
    close = difflib.get_close_matches(text, of_first or by_spelling, n=NEAREST * 3, cutoff=0.5)
    return list(dict.fromkeys(by_spelling[each] for each in (*begun, *elsewhere, *close)))[:NEAREST]


def _without_host(ref: Ref) -> tuple[str, str]:
    return f"{ref.kind} {ref.name}", f"{ref.kind}:{ref.name}"


def _is_of(text: str, ref: Ref) -> bool:
    """Whether `KIND`, `KIND NAME` or `KIND:NAME` names a resource."""
    kind, name = (*re.split(r"[\s:]", text, maxsplit=1), "")[:2]
    return _fits(kind, ref.kind) and (not name or _fits(name, ref.name))


def _fits(pattern: str, name: str) -> bool:
    return pattern == name or (_is_pattern(pattern) and fnmatchcase(name, pattern))


def _is_pattern(text: str) -> bool:
    return any(mark in text for mark in "*?[")


def _first_label(host: str) -> str:
    return host.partition(".")[0]


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), 1, 0.6)
    return f"; did you mean {near[0]}?" if near else ""
