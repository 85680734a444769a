"""Fixtures with real hosts: a pytest plugin, loaded by `pytest_plugins = ["tests.support.fleet"]`.

Tests that use them are marked `fleet`, by this plugin, and need root on Linux.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator

import pytest

from lab import Fleet, LabHost
from lab.processes import running

PREFIX = f"test-{os.getpid()}"
FRESH = pytest.StashKey[set[str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known, and note which fleets no test has had in its hands yet."""
    config.addinivalue_line("markers", "fleet: needs real hosts, hence root on Linux")
    config.stash[FRESH] = set()


@pytest.hookimpl(tryfirst=True)  # before `-m "not fleet"` chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark whatever asks for a fleet: a mark that was forgotten would start hosts where none are wanted."""
    for item in items:
        if "fleet_machine" in getattr(item, "fixturenames", ()):
            item.add_marker("fleet")


def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Whatever was started for this test was in its hands, so it is not bare any more."""
    item.config.stash[FRESH].clear()


@pytest.fixture(scope="session")
def fleet_machine() -> None:
    """Skip where no fleet can run; remove the fleets of test sessions that were killed."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("fleet tests start real hosts: they need root on Linux")
    for name in Fleet.names():
        owner = re.match(r"test-(\d+)\b", name)
        if owner is not None and running(int(owner[1])) is None:
            Fleet.clear(name, orderly=False)


@pytest.fixture(scope="session")
def fleet(fleet_machine: None, pytestconfig: pytest.Config) -> Iterator[Fleet]:
    """Three hosts for the whole session, in whatever state the tests before left them."""
    yield from _fleet(PREFIX, 3, pytestconfig)


@pytest.fixture
def bare_fleet(fleet: Fleet, request: pytest.FixtureRequest) -> Fleet:
    """The session's three hosts, each as the base image has it."""
    if fleet.name not in request.config.stash[FRESH]:
        fleet.reset()
    return fleet


@pytest.fixture(scope="session")
def spare_fleet(fleet_machine: None, pytestconfig: pytest.Config) -> Iterator[Fleet]:
    """The fleet of the one host that tests may break."""
    yield from _fleet(f"{PREFIX}-spare", 1, pytestconfig)


@pytest.fixture
def spare(spare_fleet: Fleet, request: pytest.FixtureRequest) -> LabHost:
    """One bare host in a fleet of its own, for a test that breaks it."""
    if spare_fleet.name not in request.config.stash[FRESH]:
        spare_fleet.reset()
    return spare_fleet.hosts[0]


def _fleet(name: str, hosts: int, config: pytest.Config) -> Iterator[Fleet]:
    # clear(), not down(): it also removes what an interrupted up left behind.
    try:
        fleet = Fleet.up(name, hosts)
        config.stash[FRESH].add(name)
        yield fleet
    finally:
        Fleet.clear(name, orderly=False)
