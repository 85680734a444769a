"""What goes wrong in the simulated world without anybody watching is told by the journal alone."""

from __future__ import annotations

from contextlib import suppress

import pytest

from reconciler.journal.journal import Journal
from reconciler.journal.path import paths
from tests.simulation.actors import Parts
from tests.simulation.bugs import BUGS
from tests.simulation.drawing import draw
from tests.simulation.sequence import Folder, Run
from tests.simulation.watch import Watch
from tests.simulation.world import Cut, Hung, Killed, Violated


def deviations(seed: int, parts: Parts) -> list[str]:
    """What the journal of a sequence tells against the rules."""
    with Folder() as folder:
        run = Run(draw(seed), parts, folder)
        with suppress(Violated):
            for op in draw(seed).ops:
                with suppress(Killed, Cut, Hung):
                    run.do(op)
            run.finish()
        with Journal(folder, write=False) as journal:
            return [each.detail for each in paths(journal.entries()) if each.result == "deviation"]


@pytest.mark.parametrize(
    ("bug", "seed", "why"),
    [
        ("all hosts at once", 5, "is switched before"),
        ("forgotten proven", 1, "without a proof"),
        ("acts without a record", 0, "a round that was not begun"),
        ("late host without a lock", 105, "which it has not locked"),
        ("half way out of turn", 920, "is switched before"),
    ],
)
def test_the_journal_alone_tells_a_planted_bug(
    monkeypatch: pytest.MonkeyPatch, bug: str, seed: int, why: str
) -> None:
    rules = ("_may_act", "_clients_keep", "_pair_stays", "_not_too_many_away", "_canaries_are_proven")
    for rule in rules:
        monkeypatch.setattr(Watch, rule, lambda *_: None)
    assert any(why in each for each in deviations(seed, BUGS[bug]))
    assert deviations(seed, Parts()) == []
