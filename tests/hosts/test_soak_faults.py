"""Faults one at a time and three at a time: each is mended, or named and left alone, and what served goes on."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from tests.hosts.fault_list import FAULTS, Fault, drawn
from tests.support.serving import Clients, Node

pytestmark = [pytest.mark.fleet, pytest.mark.soak]
DEADLINE = 30  # nothing here fails by waiting, and a soak shares its machine

TRIPLES = 30
"""How many times three faults are drawn."""


@pytest.mark.parametrize("fault", FAULTS, ids=lambda each: each.name)
def test_a_fault_is_mended_or_named(watched: Node, fault: Fault) -> None:
    tried(watched, [fault])


@pytest.mark.parametrize("seed", range(TRIPLES))
def test_three_faults_at_once_are_mended_or_named(watched: Node, seed: int) -> None:
    tried(watched, drawn(random.Random(seed), FAULTS))


def tried(node: Node, faults: Sequence[Fault]) -> None:
    """Injects faults, looks, applies, takes back what is not ours to mend, and looks again."""
    hosts, orders, before = node.fleet.hosts, node.orders(), node.one()
    wrong = [each for each in faults if not each.fine]
    named = [each for each in wrong if each.undone]
    node.excused = tuple(f"{hosts[each.at].name.split('.')[0]} " for each in faults if each.cuts)
    with Clients(node, pause=0.5) as clients:
        try:
            for each in faults:
                hosts[each.at].run(each.done)
            drift = node.wait(node.start("drift"))
            assert (drift.code == 0) == (not wrong), f"drift: {drift.code}\n{drift.out}\n{drift.err}"
            ended = node.wait(node.start("apply", "--yes"))
            told = f"apply: {ended.code}\n{ended.out}\n{ended.err}"
            assert ended.code in ((3, 4) if named else (0,)), told
            hidden = {each.at for each in faults if each.hides}
            seen = [each for each in named if each.hides or each.at not in hidden]
            assert [each.name for each in seen if each.told not in ended.out] == [], told
            if not named:
                node.settled()
        finally:
            for each in reversed(faults):
                if each.undone:
                    hosts[each.at].run(each.undone)
        if named:
            node.settle()
        assert node.one() == before
    assert node.orders() == orders, "nothing here is a reason for an order"
    if not any(each.cuts for each in faults):
        assert clients.failures == []
