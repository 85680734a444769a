"""What tests of several commands share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.workplace import StoppedClock


@pytest.fixture
def clock(request: pytest.FixtureRequest) -> StoppedClock:
    """A clock that stands at the `NOW` of the module."""
    return StoppedClock(request.module.NOW)


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder that is not there yet, and an empty current one."""
    monkeypatch.setenv("RECONCILE_STATE", str(tmp_path / "state"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "state"
