"""The model of a rollout, explored: all that two controllers and a hostile world can come to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from reconciler.journal import model
from reconciler.journal.model import Knowledge, Links
from tests.journal.moves import Broken, Host, Model, Run, World, explore

pytestmark = pytest.mark.one_python


def turns(hosts: int, at_once: int = 1, canaries: int = 0) -> dict[int, set[int]]:
    """Replicas in waves, the canaries first, and the primary, which is the last host, after all of them."""

    def before(each: int) -> int:
        start = canaries if each >= canaries else 0
        return hosts - 1 if each == hosts - 1 else start + (each - start) // at_once * at_once

    return {each: set(range(before(each))) for each in range(hosts)}


@pytest.mark.parametrize(
    ("hosts", "at_once", "faults", "canaries"),
    [
        (2, 1, 2, 0),
        (3, 1, 2, 0),
        (4, 1, 1, 0),
        (4, 2, 1, 0),
        (3, 1, 2, 1),
        (4, 2, 1, 1),
        pytest.param(3, 2, 2, 0, marks=pytest.mark.soak),
        pytest.param(2, 1, 3, 0, marks=pytest.mark.soak),
        pytest.param(4, 2, 2, 0, marks=pytest.mark.soak),
        pytest.param(4, 2, 2, 1, marks=pytest.mark.soak),
        pytest.param(4, 1, 2, 2, marks=pytest.mark.soak),
    ],
)
def test_whatever_the_model_lets_through_holds(hosts: int, at_once: int, faults: int, canaries: int) -> None:
    before = turns(hosts, at_once, canaries)
    count = explore(Model(before, at_once, canaries=canaries), hosts, faults)
    print(f"{hosts} hosts, {at_once} at once, {canaries} canaries, {faults} faults: {count} states")
    assert count > 1000


class LocksWhatIsHeld(Model):
    """A lock is taken although somebody holds it."""

    def lockable(self, host: Host) -> bool:
        return True


class ActsWithoutLock(Model):
    """A host takes the script of whoever held it once."""

    def holds(self, host: Host, number: int) -> bool:
        return True


class AllAtOnce(Model):
    """Nobody waits for a turn."""

    def refusal(self, known: Knowledge, batch: Mapping[int, int], passed: frozenset[int]) -> str | None:
        free = replace(self.rules, before=dict.fromkeys(self.names, ()), max_unavailable=len(self.names))
        return model.refusal(free, known, batch, passed)


class HalfWayOutOfTurn(Model):
    """What a run has left half way waits for its turn, and is not counted."""

    def refusal(self, known: Knowledge, batch: Mapping[int, int], passed: frozenset[int]) -> str | None:
        seen = {
            each: Links(links.proven, links.proven) if links else None for each, links in known.seen.items()
        }
        return model.refusal(self.rules, replace(known, seen=seen), batch, passed)


class GoesOnAfterALoss(Model):
    """Where a host was lost in the middle of its switch, the next ones switch all the same."""

    def refusal(self, known: Knowledge, batch: Mapping[int, int], passed: frozenset[int]) -> str | None:
        results = {each: result for each, result in known.results.items() if result not in ("lost", "failed")}
        gone = {*known.lost, *(each for each, result in known.results.items() if result == "lost")}
        return model.refusal(self.rules, replace(known, results=results, lost=gone), batch, passed)


class FailsForEver(Model):
    """However many have failed, the next one is tried."""

    def refusal(self, known: Knowledge, batch: Mapping[int, int], passed: frozenset[int]) -> str | None:
        return model.refusal(replace(self.rules, max_failed=len(self.names)), known, batch, passed)


class CanaryIsOneOfMany(Model):
    """A canary may fail as any other host may."""

    def refusal(self, known: Knowledge, batch: Mapping[int, int], passed: frozenset[int]) -> str | None:
        return model.refusal(replace(self.rules, canaries=()), known, batch, passed)


class LostHostsStop(Model):
    """A lost host is waited for."""

    def passes(self, run: Run) -> frozenset[int]:
        return super().passes(run) - run.lost


class ForgetsToName(Model):
    """Whoever is passed over is not named."""

    def refusal(self, known: Knowledge, batch: Mapping[int, int], passed: frozenset[int]) -> str | None:
        return super().refusal(known, batch, frozenset(self.names))

    def passes(self, run: Run) -> frozenset[int]:
        return frozenset()


class RescuesToTheNew(Model):
    """What is put back is the release that could not be proven."""

    def rescued(self, host: Host, want: int) -> Host:
        return host._replace(current=want)


class ProvesByRecord(Model):
    """What was switched is recorded as proven before it was seen to be served."""

    def switched(self, host: Host, want: int) -> Host:
        return host._replace(current=want, proven=want)


class LooksBeforeLocking(Model):
    """It goes by what was seen before the hosts were locked: all as it was at first."""

    def looks(self, world: World, number: int) -> tuple[Links | None, ...]:
        return tuple(links and Links(0, 0) for links in super().looks(world, number))


class AllIsAsFound(Model):
    """A host that this run has led away, and could not put back, is taken to have been so before."""

    def told_as(self, run: Run, name: int, result: str) -> str:
        return "as found" if result in ("failed", "lost") else result


class HalfWayHoldsUp(Model):
    """A host that is half way from before, and fails again, stops the rollout in each run."""

    def told_as(self, run: Run, name: int, result: str) -> str:
        return result


class StuckHoldsUp(Model):
    """A host that is half way from before, and cannot be brought on, is waited for."""

    def passes(self, run: Run) -> frozenset[int]:
        return super().passes(run) - (run.stuck & run.found)


BUGS = (
    LocksWhatIsHeld, ActsWithoutLock, AllAtOnce, HalfWayOutOfTurn, GoesOnAfterALoss, FailsForEver, LostHostsStop,
    CanaryIsOneOfMany, ForgetsToName, RescuesToTheNew, ProvesByRecord, LooksBeforeLocking, AllIsAsFound, HalfWayHoldsUp,
    StuckHoldsUp,
)  # fmt: skip


@pytest.mark.parametrize("bug", BUGS, ids=lambda each: each.__name__)
def test_a_planted_bug_is_found(bug: type[Model]) -> None:
    hosts, faults = (2, 2) if bug in (HalfWayOutOfTurn, HalfWayHoldsUp, StuckHoldsUp) else (3, 1)
    with pytest.raises(Broken, match="after: ") as found:
        failed, canaries = (0 if bug is FailsForEver else 1), (1 if bug is CanaryIsOneOfMany else 0)
        explore(bug(turns(hosts), failed=failed, canaries=canaries), hosts, faults)
    print(found.value)
