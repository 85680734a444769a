"""Every door, with what is known; `make fuzz` goes on from there."""

from __future__ import annotations

import random

import pytest

from tests.fuzz.doors import DOORS, known


@pytest.mark.parametrize("name", DOORS)
def test_a_door_raises_for_nothing_that_is_known_and_for_nothing_near_it(name: str) -> None:
    door, chance, inputs = DOORS[name], random.Random(name), [b"", *known(name)]
    for data in inputs:
        door(data)
    for data in chance.choices(inputs, k=100):
        at, end = (chance.randrange(len(data) + 1) for _ in "ab")
        door(data[:at] + chance.randbytes(chance.randrange(4)) + data[end:])
