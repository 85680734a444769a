"""What all tests share."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = [
    "tests.support.fleet",
    "tests.support.faults",
    "tests.support.serving",
    "tests.support.browser",
    "tests.support.nats_server",
]

settings.register_profile(
    "here",
    deadline=None,
    max_examples=60,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
# For a change of the planner or of apply: pytest tests/test_laws.py --hypothesis-profile=long
settings.register_profile("long", settings.get_profile("here"), max_examples=1500, derandomize=False)
settings.load_profile("here")


LONG = (
    "test_rollout_faults", "hosts/test_certificate.py", "test_certificate_faults", "test_dns_challenge", "test_operations",
    "hosts/test_laws", "test_year", "test_story", "test_adopt", "test_readme", "hosts/",
    "lab/", "test_package", "test_product", "test_site",
)  # fmt: skip
"""The files that take longest. Each goes to one process, and none shall wait for the last of them
at the end. Those that want hosts which serve come first, one after another; those that want bare
ones follow, so that few bring the hosts from one state to the other."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files of LONG come first."""
    items.sort(key=lambda item: next((n for n, name in enumerate(LONG) if name in item.nodeid), len(LONG)))


@pytest.fixture(autouse=True, scope="session")
def _state() -> Iterator[None]:
    """No test writes into the journal of whoever runs it."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["RECONCILE_STATE"] = folder
        os.environ.pop("FORCE_COLOR", None)  # CI sets it; output is compared
        yield


@pytest.fixture(autouse=True, scope="session")
def _interrupts() -> None:
    """Ctrl-C ends a command that a test starts, even where a shell started the tests in the background:
    what a shell starts so ignores SIGINT, and all that it starts inherits that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
