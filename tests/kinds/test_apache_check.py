"""Apache is asked once for what is in its configuration and whether that is valid."""

from __future__ import annotations

from datetime import UTC, datetime

from reconciler.kinds.service import APACHE_CHECK, Service
from reconciler.model import CannotSee
from reconciler.questions.apache import ApacheConfig, ApacheQuestion
from reconciler.questions.approved import ApprovedCommandQuestion

UNIT = {"LoadState": "loaded", "ActiveState": "active", "UnitFileState": "enabled"}
APACHE = Service(host="h", unit="apache2", check=APACHE_CHECK, known_check=True)


def configuration(config: ApacheConfig | None) -> object:
    seen = APACHE.read({"unit": UNIT, "check": config}, datetime(2026, 1, 1, tzinfo=UTC))
    return seen if isinstance(seen, CannotSee) or seen is None else seen["configuration"]


def test_what_apache_says_of_its_configuration_is_the_services_check() -> None:
    assert APACHE.ask()["check"] == ApacheQuestion()
    assert configuration(ApacheConfig()) == "valid"
    assert configuration(ApacheConfig(refused="Syntax error on line 3")) == "refused: Syntax error on line 3"
    assert configuration(None) == CannotSee("`apache2ctl` is missing, which checks its configuration")


def test_a_check_of_the_yamls_is_run_as_it_is() -> None:
    declared = Service(host="h", unit="apache2", check=APACHE_CHECK)
    assert declared.ask()["check"] == ApprovedCommandQuestion(APACHE_CHECK)
