"""What all tests share."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.fleet", "tests.faults", "tests.serving", "tests.browser"]

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
