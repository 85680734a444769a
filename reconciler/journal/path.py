"""Whether what the journal tells of each run is a path of the model of a rollout. Pure.

The journal is read as a witness: what it does not say is not held against it. Runs of other machines, and
what somebody did by hand, are not in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from reconciler.journal.journal import JournalEntry
from reconciler.journal.model import NOTHING, Knowledge, Links, Rules, left, refusal
from reconciler.kinds.certificate.release import Current
from reconciler.kinds.certificate.serving import OLDER, Serving
from reconciler.kinds.certificate.store import OWN, Store

SILENT = "says nothing of locks, turns and proofs: a version that did not record them has written it"


@dataclass(frozen=True)
class Verdict:
    """What a run's entries come to: a `path` of the model; a path as far as the run is `recorded`, which
    `detail` says; or a `deviation`, at this entry."""

    run: int
    environment: str
    result: Literal["path", "recorded", "deviation"]
    entry: int | None = None
    detail: str = ""


class Deviation(Exception):
    """An entry is no step of the model; the message says why."""


@dataclass
class _CertificatePath:
    """The rollout of one certificate, whose releases are in `store`."""

    store: Store = OWN
    rules: Rules | None = None
    known: Knowledge = field(default_factory=Knowledge)
    switching: dict[str, str] = field(default_factory=dict)
    """To which release each host of this round is switched."""

    def deviation(self, why: str) -> Deviation:
        """What is no step of it, with its name where there are others."""
        return Deviation(f"{self.store.name}: {why}" if self.store.name else why)


@dataclass
class _RunPath:
    environment: str
    own: _CertificatePath = field(default_factory=_CertificatePath)
    beside: dict[str, _CertificatePath | None] = field(default_factory=dict)
    """Those of the further certificates that are ordered; None where an older version told a name alone."""
    locked: frozenset[str] | None = None
    """The hosts that it has locked; None where it has not told."""
    begun: dict[tuple[str, str, str], int] = field(default_factory=dict)
    """The actions of the round that is open, with the entry that announced them."""
    fenced: dict[str, int] = field(default_factory=dict)
    """The entry with which a newer run took each host."""
    ended: bool = False
    silent: bool = False
    wrong: tuple[int, str] | None = None

    @property
    def rollouts(self) -> list[_CertificatePath]:
        """All that are judged."""
        return [self.own, *(each for each in self.beside.values() if each)]

    def rollout_of(self, each: Mapping[str, Any]) -> _CertificatePath | None:
        """That of which an action is a switch, if it is one."""
        return self.beside.get(each["name"], self.own) if each["kind"] == Serving.kind else None


def paths(entries: Iterable[JournalEntry]) -> list[Verdict]:
    """A verdict for each run, by its number; `entries` are all of the journal, in their order."""
    path = _Path()
    for each in entries:
        if each.run:
            path.take(each)
    return [_verdict(number, run) for number, run in sorted(path.runs.items())]


def _verdict(number: int, run: _RunPath) -> Verdict:
    if run.wrong:
        return Verdict(number, run.environment, "deviation", *run.wrong)
    if run.silent:
        return Verdict(number, run.environment, "recorded", None, SILENT)
    return Verdict(number, run.environment, "path")


class _Path:
    def __init__(self) -> None:
        self.runs: dict[int, _RunPath] = {}
        self.holders: dict[str, int] = {}

    def take(self, entry: JournalEntry) -> None:
        """One more entry. The first that is no step of the model is kept, and the run not judged further."""
        if (run := self.runs.get(entry.run)) is None:
            run = self.runs[entry.run] = _RunPath(entry.environment)
            if entry.what != "begin":
                run.wrong = (entry.number, "it acts before it has begun")
            return
        try:
            if not run.wrong:
                self._step(run, entry)
        except Deviation as error:
            run.wrong = (entry.number, str(error))
        except (LookupError, TypeError, AttributeError, ValueError) as error:
            run.wrong = (entry.number, f"the entry lacks what its kind has ({error!r})")

    def _step(self, run: _RunPath, entry: JournalEntry) -> None:
        if run.ended:
            raise Deviation("it goes on after its end")
        if entry.what == "locked":
            self._lock(run, entry)
        elif entry.what == "intent":
            _begin(run, entry)
        elif entry.what == "outcome":
            _results(run, entry)
        elif entry.what == "end":
            run.ended = True
            self.holders = {host: number for host, number in self.holders.items() if number != entry.run}
        else:
            raise Deviation(f"it has an entry of the kind {entry.what!r}, which no run writes there")

    def _lock(self, run: _RunPath, entry: JournalEntry) -> None:
        if run.locked is not None:
            raise Deviation("it locks the hosts once more")
        run.locked = frozenset(entry.body["hosts"])
        for host in entry.body["hosts"]:
            if (other := self.holders.get(host)) is not None:
                # It was silent for too long, or is gone; from here on it must not act there.
                self.runs[other].fenced[host] = entry.number
            self.holders[host] = entry.run
        run.own = _rollout(OWN, run.locked, entry.body, entry.body["rollout"])
        beside = entry.body.get("beside", ())
        told = beside if isinstance(beside, Mapping) else {}
        run.beside = {
            name: _rollout(Store(name), run.locked, entry.body, told[name]) if name in told else None
            for name in beside
        }


def _rollout(
    store: Store, locked: frozenset[str], body: Mapping[str, Any], rollout: Mapping[str, Any] | None
) -> _CertificatePath:
    known = Knowledge(locked=locked, lost=set(body["lost"]))
    if not rollout:
        return _CertificatePath(store, None, known)
    before = {host: frozenset(others) for host, others in rollout["before"].items()}
    limits = int(rollout["max_unavailable"]), int(rollout["max_failed"])
    marked = (frozenset(rollout.get(name, ())) for name in ("overdue", "canaries"))
    known.seen = seen = {host: _links(links) for host, links in rollout["seen"].items()}
    known.found_away = {host for host, links in seen.items() if links and links.away}
    return _CertificatePath(store, Rules(before, *limits, *marked), known)


def _links(state: Mapping[str, Any] | None) -> Links | None:
    """What a host had; None where nothing is known of it, or a copy was damaged, which says no name."""
    if state is None:
        return None
    found = Links(*(str(state[name]).removesuffix(OLDER) for name in ("current", "proven")))
    return None if any(each.startswith("unreadable") for each in found) else found


def _begin(run: _RunPath, entry: JournalEntry) -> None:
    if run.begun:
        raise Deviation("it begins a round before the results of the one before are there")
    actions = entry.body["actions"]
    run.begun = {_name(each): entry.number for each in actions}
    for rollout in run.rollouts:
        switched = [each for each in actions if run.rollout_of(each) is rollout and _wanted(each)]
        rollout.switching = {each["host"]: _wanted(each) for each in switched}
        for each in switched if run.locked is not None else ():
            _check_steps(rollout, each)
    if run.locked is None:
        run.silent = True  # also its commands may be those of another version
        return
    for host, kind, name in run.begun:
        if host not in run.locked:
            raise Deviation(f"it acts on {host} ({kind} {name}), which it has not locked")
    for rollout in run.rollouts:
        _begin_round(rollout, [each for each in entry.body["passed"] if run.rollout_of(each) is rollout])


def _begin_round(rollout: _CertificatePath, named: Sequence[Mapping[str, Any]]) -> None:
    """A round of one rollout, which names those whom it passes over."""
    if not rollout.rules:
        return
    known = rollout.known
    passed = {each["host"] for each in named}
    # One that could not be looked at any more is as good as lost: nobody knows what it serves.
    known.lost = {*known.lost, *(each["host"] for each in named if each.get("unseen"))}
    if any(known.seen.get(host) is None for host in rollout.switching):
        # One of which it is not known what it serves may be half way, and then goes before the others.
        passed |= rollout.rules.before.keys()
    if why := refusal(rollout.rules, known, rollout.switching, passed):
        raise rollout.deviation(why)


def _check_steps(rollout: _CertificatePath, action: Mapping[str, Any]) -> None:
    """A switch ends with its proof, and what puts it back leads to what was proven."""
    run, host, steps = rollout.store.run, action["host"], [str(each) for each in action["steps"]]
    if not any(run("use", "staged") in each for each in steps):
        raise rollout.deviation(f"{host} is switched by no command")
    after = steps[next(number for number, each in enumerate(steps) if run("use", "staged") in each) :]
    # A service that was seen to serve it already needs no proof.
    services = {each["field"] for each in action["deltas"]} - {"current", "proven"}
    proofs = sum(f"{run('prove')} " in each for each in after)
    if proofs < len(services) or run("proven") not in after[-1]:
        raise rollout.deviation(f"{host} is switched without a proof")
    links = rollout.known.seen.get(host)
    known = links is not None and links.proven != NOTHING
    if known and not any(run("use", "proven") in each for each in action["rescue"]):
        raise rollout.deviation(f"nothing would put back what was proven on {host}")


def _results(run: _RunPath, entry: JournalEntry) -> None:
    if not run.begun:
        raise Deviation("it has results of a round that was not begun")
    for each in entry.body["outcomes"]:
        name, host, result = _name(each), each["host"], each["result"]
        if name not in run.begun:
            raise Deviation(f"it has a result of {' '.join(name)}, which was not begun")
        if result not in ("lost", "skipped") and run.fenced.get(host, entry.number) < run.begun[name]:
            raise Deviation(f"it acted on {host}, which a newer run had locked (entry {run.fenced[host]})")
        for rollout in run.rollouts:
            if each["kind"] == Current.kind and each["name"] == rollout.store.current:
                rollout.known.seen[host] = None  # it leads to whichever copy services can load
            elif run.rollout_of(each) is rollout:
                _result(rollout, host, result, each)
            elif result == "lost":
                rollout.known.lost = {*rollout.known.lost, host}
    run.begun = {}
    for rollout in run.rollouts:
        rollout.switching = {}


def _result(rollout: _CertificatePath, host: str, result: str, outcome: Mapping[str, Any]) -> None:
    known = rollout.known
    links = known.seen.get(host)
    told = "put back" if result == "failed" and outcome.get("put_back") is True else result
    if told in ("failed", "lost") and outcome.get("as_found") is True:
        if told == "lost" and host not in known.found_away:
            raise rollout.deviation(
                f"{host} was lost in the middle of its switch, and is told to be as it was found"
            )
        told = "as found"
    known.results[host] = told
    if host in rollout.switching:
        known.seen[host] = left(links, rollout.switching[host], told)
    elif links:  # the one in use was loaded once more
        known.seen[host] = left(links, links.current, told)


def _wanted(action: Mapping[str, Any]) -> str:
    """The release that a host is led to; nothing where it stays with the one in use."""
    found = [each["want"] for each in action["deltas"] if each["field"] == "current"]
    return str(found[0]) if found else ""


def _name(each: Mapping[str, Any]) -> tuple[str, str, str]:
    return str(each["host"]), str(each["kind"]), str(each["name"])
