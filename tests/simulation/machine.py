"""The same sequences, drawn by hypothesis: it looks for short ones, and shortens what fails."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.simulation.actors import Parts
from tests.simulation.drawing import AT_ONCE, DRIFTS, EDITS, LASTING, MOODS, Op, Sequence
from tests.simulation.sequence import Folder, Run
from tests.simulation.world import Cut, Hung, Killed

NUMBERS = st.integers(0, 4)
DRIFT = st.tuples(st.just("drift"), NUMBERS, st.sampled_from(DRIFTS))
LAST = st.tuples(st.just("lasting"), NUMBERS, st.sampled_from(LASTING))
MOOD = st.tuples(st.just("ca"), st.sampled_from(MOODS))
SUDDEN = st.sampled_from([(each,) for each in AT_ONCE if each not in ("reboot", "lie", "jump")])
ON_A_HOST = st.tuples(st.sampled_from(["reboot", "lie", "dead"]), NUMBERS)
JUMP = st.tuples(st.just("jump"), st.sampled_from([-1800.0, -30.0, 3600.0]))


class Simulation(RuleBasedStateMachine):
    """One sequence; what is armed comes between what is read and written afterwards."""

    parts = Parts()

    @initialize(
        hosts=st.integers(1, 3), bare=st.booleans(), unavailable=st.integers(1, 2), canary=st.integers(0, 2)
    )
    def begin(self, hosts: int, bare: bool, unavailable: int, canary: int) -> None:
        self.folder = Folder()
        sequence = Sequence(hosts, bare, unavailable, (), canary)
        self.run = Run(sequence, self.parts, self.folder.__enter__())

    @precondition(lambda self: hasattr(self, "run"))
    @rule(op=st.one_of(DRIFT, LAST, MOOD, st.just(("due",)), st.just(("heal",))))
    def happens(self, op: Op) -> None:
        self._do(op)

    @precondition(lambda self: hasattr(self, "run"))
    @rule(what=st.sampled_from([*EDITS, "canary"]), host=NUMBERS)
    def is_edited(self, what: str, host: int) -> None:
        self._do(("edit", what, host))

    @precondition(lambda self: hasattr(self, "run"))
    @rule(ticks=st.integers(1, 150), op=st.one_of(SUDDEN, ON_A_HOST, JUMP, DRIFT, LAST, MOOD))
    def is_armed(self, ticks: int, op: Op) -> None:
        self._do(("arm", ticks, *op))

    @precondition(lambda self: hasattr(self, "run"))
    @rule(
        op=st.sampled_from(
            [("apply",), ("auto",), ("plan",), ("approve",), ("saved",), ("cron",), ("rollback",)]
        )
    )
    def acts(self, op: Op) -> None:
        self._do(op)

    def _do(self, op: Op) -> None:
        with suppress(Killed, Cut, Hung):
            self.run.do(op)

    def teardown(self) -> None:
        if hasattr(self, "run"):
            try:
                self.run.finish()
            finally:
                self.folder.__exit__()
