"""Whether what the journal tells of each run is a path of the model of a rollout. Pure.

The journal is read as a witness: what it does not say is not held against it. Runs of other machines, and
what somebody did by hand, are not in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from reconciler.journal.journal import JournalEntry
from reconciler.journal.model import NOTHING, Knowledge, Links, Rules, left, refusal
from reconciler.kinds.certificate.release import Current
from reconciler.kinds.certificate.serving import OLDER, Serving
from reconciler.kinds.certificate.store import OWN

SILENT = "says nothing of locks, turns and proofs: a version that did not record them has written it"
SWITCHES, RESTORES, RECORDS = OWN.run("use", "staged"), OWN.run("use", "proven"), OWN.run("proven")
PROVES = f"{OWN.run('prove')} "


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
class _RunPath:
    environment: str
    rules: Rules | None = None
    known: Knowledge = field(default_factory=Knowledge)
    locked: bool = False
    """Whether it has told which hosts it has locked."""
    begun: dict[tuple[str, str, str], int] = field(default_factory=dict)
    """The actions of the round that is open, with the entry that announced them."""
    switching: dict[str, str] = field(default_factory=dict)
    """To which release each host of this round is switched."""
    fenced: dict[str, int] = field(default_factory=dict)
    """The entry with which a newer run took each host."""
    beside: frozenset[str] = frozenset()
    """The further certificates that are ordered: each has a rollout of its own, which is not judged here."""
    ended: bool = False
    silent: bool = False
    wrong: tuple[int, str] | None = None


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
        if run.locked:
            raise Deviation("it locks the hosts once more")
        run.locked = True
        for host in entry.body["hosts"]:
            if (other := self.holders.get(host)) is not None:
                # It was silent for too long, or is gone; from here on it must not act there.
                self.runs[other].fenced[host] = entry.number
            self.holders[host] = entry.run
        run.beside = frozenset(entry.body.get("beside", ()))
        run.known = Knowledge(locked=frozenset(entry.body["hosts"]), lost=set(entry.body["lost"]))
        if rollout := entry.body["rollout"]:
            before = {host: frozenset(others) for host, others in rollout["before"].items()}
            limits = int(rollout["max_unavailable"]), int(rollout["max_failed"])
            marked = (frozenset(rollout.get(name, ())) for name in ("overdue", "canaries"))
            run.rules = Rules(before, *limits, *marked)
            run.known.seen = seen = {host: _links(links) for host, links in rollout["seen"].items()}
            run.known.found_away = {host for host, links in seen.items() if links and links.away}


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
    switched = [each for each in actions if _is_switch(run, each) and _wanted(each)]
    run.switching = {each["host"]: _wanted(each) for each in switched}
    if not run.locked:
        run.silent = True  # also its commands may be those of another version
        return
    for each in switched:
        _check_steps(each, run.known.seen.get(each["host"]))
    for host, kind, name in run.begun:
        if host not in run.known.locked:
            raise Deviation(f"it acts on {host} ({kind} {name}), which it has not locked")
    if run.rules:
        named = [each for each in entry.body["passed"] if _is_switch(run, each)]
        passed = {each["host"] for each in named}
        # One that could not be looked at any more is as good as lost: nobody knows what it serves.
        run.known.lost = {*run.known.lost, *(each["host"] for each in named if each.get("unseen"))}
        if any(run.known.seen.get(host) is None for host in run.switching):
            # One of which it is not known what it serves may be half way, and then goes before the others.
            passed |= run.rules.before.keys()
        if why := refusal(run.rules, run.known, run.switching, passed):
            raise Deviation(why)


def _check_steps(action: Mapping[str, Any], links: Links | None) -> None:
    """A switch ends with its proof, and what puts it back leads to what was proven."""
    host, steps = action["host"], [str(each) for each in action["steps"]]
    if not any(SWITCHES in each for each in steps):
        raise Deviation(f"{host} is switched by no command")
    after = steps[next(number for number, each in enumerate(steps) if SWITCHES in each) :]
    # A service that was seen to serve it already needs no proof.
    services = {each["field"] for each in action["deltas"]} - {"current", "proven"}
    proofs = sum(PROVES in each for each in after)
    if proofs < len(services) or RECORDS not in after[-1]:
        raise Deviation(f"{host} is switched without a proof")
    known = links is not None and links.proven != NOTHING
    if known and not any(RESTORES in each for each in action["rescue"]):
        raise Deviation(f"nothing would put back what was proven on {host}")


def _results(run: _RunPath, entry: JournalEntry) -> None:
    if not run.begun:
        raise Deviation("it has results of a round that was not begun")
    for each in entry.body["outcomes"]:
        name, host, result = _name(each), each["host"], each["result"]
        if name not in run.begun:
            raise Deviation(f"it has a result of {' '.join(name)}, which was not begun")
        if result not in ("lost", "skipped") and run.fenced.get(host, entry.number) < run.begun[name]:
            raise Deviation(f"it acted on {host}, which a newer run had locked (entry {run.fenced[host]})")
        if each["kind"] == Current.kind and each["name"] == Current.path:
            run.known.seen[host] = None  # it leads to whichever copy services can load
        elif result == "lost" and not _is_switch(run, each):
            run.known.lost = {*run.known.lost, host}
        elif _is_switch(run, each):
            _result(run, host, result, each)
    run.begun, run.switching = {}, {}


def _result(run: _RunPath, host: str, result: str, outcome: Mapping[str, Any]) -> None:
    links = run.known.seen.get(host)
    told = "put back" if result == "failed" and outcome.get("put_back") is True else result
    if told in ("failed", "lost") and outcome.get("as_found") is True:
        if told == "lost" and host not in run.known.found_away:
            raise Deviation(f"{host} was lost in the middle of its switch, and is told to be as it was found")
        told = "as found"
    run.known.results[host] = told
    if host in run.switching:
        run.known.seen[host] = left(links, run.switching[host], told)
    elif links:  # the one in use was loaded once more
        run.known.seen[host] = left(links, links.current, told)


def _is_switch(run: _RunPath, each: Mapping[str, Any]) -> bool:
    """Whether it is of the rollout of the environment's own certificate."""
    return each["kind"] == Serving.kind and each["name"] not in run.beside


def _wanted(action: Mapping[str, Any]) -> str:
    """The release that a host is led to; nothing where it stays with the one in use."""
    found = [each["want"] for each in action["deltas"] if each["field"] == "current"]
    return str(found[0]) if found else ""


def _name(each: Mapping[str, Any]) -> tuple[str, str, str]:
    return str(each["host"]), str(each["kind"]), str(each["name"])
