"""What a saved plan says of what a step is fed."""

from __future__ import annotations

import re
import time

from reconciler.approval.commitment import PATTERN, commit, is_kept, is_salted

SALT = "0f" * 16


def test_a_commitment_is_kept_by_its_text_alone() -> None:
    for public in (True, False):
        made = commit("hunter2", SALT, public=public)
        assert re.fullmatch(PATTERN, made)
        assert is_kept(made, "hunter2")
        assert not is_kept(made, "hunter3")
        assert not is_kept(made[:-1] + ("0" if made[-1] != "0" else "1"), "hunter2")
        assert is_salted(made) is not public


def test_a_secret_has_another_commitment_in_each_plan_and_each_guess_is_slow() -> None:
    assert commit("hunter2", SALT, public=False) != commit("hunter2", "1f" * 16, public=False)
    assert commit("hunter2", SALT, public=True) == commit("hunter2", "1f" * 16, public=True)
    began = time.process_time()
    commit("a guess", SALT, public=False)
    assert time.process_time() - began > 0.02
