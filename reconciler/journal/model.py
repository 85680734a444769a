"""A rollout as a model of one page: what a run may begin, and what a result leaves behind. Pure.

A run locks hosts one after another, looks, and then switches some in each round, as `refusal` lets it. Each
of these hosts leads its services to the release, proves it, and records it as proven; or it puts back what
was proven. At any moment a host may be lost, a script be cut, a lock be freed, a run be killed and another
take its place. `tests/journal/moves.py` has those moves of the world; all there is for two controllers and up
to four hosts is explored, and holds, for whatever `refusal` lets through:

- an old holder of a lock never acts after a newer one has taken it;
- no host is led away from what was proven while as many as may be are away already;
- a host switches only after those before it are proven, or are named as passed over;
- what is put back is what was proven, and only what was seen to be served is proven;
- a lost host stops nobody;
- nor does one that was half way before the run and cannot be brought on, unless more are so, or have
  failed, than may, and no host has proven the release;
- but a canary that is not lost stops those after it until it is proven.

`journal.path` holds the journal of real runs against the same rules (decision 28).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

NOTHING = "none"
"""In place of a release: there is none."""


class Links(NamedTuple):
    """Which release the services of a host read, and which was last proven there."""

    current: Any
    proven: Any

    @property
    def away(self) -> bool:
        """Whether the host was led away from what was proven, and the new one not proven since."""
        return self.current != self.proven and NOTHING not in self


@dataclass(frozen=True)
class Rules:
    """`before` has, for each host of a rollout, those whose turn is before. On those that are `overdue` what
    is in use is about to expire: nothing but a switch that goes wrong holds them up. Of the `canaries` none
    may fail."""

    before: Mapping[Any, Collection[Any]]
    max_unavailable: int
    max_failed: int
    overdue: Collection[Any] = ()
    canaries: Collection[Any] = ()


@dataclass
class Knowledge:
    """What a run knows: which hosts it has locked, which it has lost, what it saw of each (None: nothing is
    known of it), which were half way then, and how each ended that it has switched: done, put back, as found
    (it failed or was lost, and is no worse than before the run), failed or lost."""

    locked: Collection[Any] = ()
    lost: Collection[Any] = ()
    seen: dict[Any, Links | None] = field(default_factory=dict)
    found_away: Collection[Any] = ()
    results: dict[Any, str] = field(default_factory=dict)


def refusal(rules: Rules, known: Knowledge, batch: Mapping[Any, Any], passed: Collection[Any]) -> str | None:
    """Why a run that knows this may not switch these hosts (to a release each) at once, passing over those
    that it names; None where it may."""
    away = {host for host, links in known.seen.items() if links and links.away}
    for host, release in batch.items():
        if host not in known.locked:
            return f"{host} is switched by a run that has not locked it"
        if host in known.results:
            return f"{host} is switched once more by the same run"
        first = set(rules.before[host])
        # What a run has left half way goes first.
        first = (first & away if host in away else first | away) - {host}
        if why := _too_early(known, host, release, first, passed):
            return why
        tried = () if host in away or host in rules.overdue else rules.canaries
        if unproven := [
            each for each in rules.before[host] if each in tried and _is_unproven(known, each, release)
        ]:
            return f"{host} is switched although {min(unproven)}, a canary, is not proven"
        failed = [each for each in first if _failed(known, each, passed)]
        if len(failed) > rules.max_failed and not (host in rules.overdue or _proven(known, release)):
            return f"{host} is switched although more than {rules.max_failed} before it failed"
    away -= {*known.lost, *(host for host, result in known.results.items() if result == "lost")}
    away -= {host for host in known.found_away if _failed(known, host, passed)}
    new = {
        host for host, release in batch.items() if host not in away and _leaves(known.seen.get(host), release)
    }
    if new and len(away | new) > rules.max_unavailable:
        names = ", ".join(sorted(map(str, away | new)))
        return f"more than {rules.max_unavailable} are away from what was proven: {names}"
    return None


def _too_early(
    known: Knowledge, host: Any, release: Any, first: Collection[Any], passed: Collection[Any]
) -> str | None:
    for each in sorted(first):
        if known.results.get(each) in ("failed", "lost"):
            return f"{host} is switched although {each} before it was left as it should not be"
        links = known.seen.get(each)
        silent = links is None and each not in known.lost
        if not silent and links != (release, release) and each not in passed:
            return f"{host} is switched before {each}, which is neither proven nor named as passed over"
    return None


def _is_unproven(known: Knowledge, host: Any, release: Any) -> bool:
    """Whether a host has failed, or answers and was not led to a release and proven."""
    links = known.seen.get(host)
    seen_so = links is not None and links != (release, release) and host not in known.lost
    return seen_so or known.results.get(host, "done") != "done"


def _failed(known: Knowledge, host: Any, passed: Collection[Any]) -> bool:
    """Whether a host failed and is no worse for it, or was half way before the run and is passed over."""
    result = known.results.get(host)
    left_so = result is None and host in known.found_away and host in passed and host not in known.lost
    return left_so or result in ("put back", "as found")


def _proven(known: Knowledge, release: Any) -> bool:
    """Whether a host that can be looked at has proven a release, which so is not what others failed at."""
    return any(links == (release, release) for host, links in known.seen.items() if host not in known.lost)


def _leaves(links: Links | None, release: Any) -> bool:
    """Whether a switch to a release leads a host away from something that was proven."""
    return links is not None and links.proven not in (NOTHING, release)


def left(links: Links | None, release: Any, result: str) -> Links | None:
    """What a switch to a release leaves on a host, as far as its result says; None where it does not."""
    if result == "done":
        return Links(release, release)
    if result == "put back" and links:
        return Links(links.proven, links.proven)
    if result == "as found":
        return links
    return links if links and links.away else None
