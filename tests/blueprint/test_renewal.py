"""The table of the renewal script's settings."""

from __future__ import annotations

import pytest

from reconciler.blueprint import renewal
from reconciler.environment.certificate import LETS_ENCRYPT, LETS_ENCRYPT_STAGING, Certificate

OTHER = "https://ca.example.org/"


@pytest.mark.parametrize(
    ("server", "rehearsal", "declared"),
    [
        (LETS_ENCRYPT, LETS_ENCRYPT_STAGING, None),
        (LETS_ENCRYPT, "", "none"),
        (OTHER, "", None),
        (OTHER, "https://rehearsal.example.org/", "https://rehearsal.example.org/"),
    ],
)
def test_a_rehearsal_is_declared_only_if_it_is_not_the_usual_one(
    server: str, rehearsal: str, declared: str | None
) -> None:
    written = renewal.variables(Certificate(server=server, rehearsal=declared))
    assert (written["server"], written["rehearsal"]) == (server, rehearsal)
    assert renewal.settings(written)["rehearsal"] == declared


def test_what_is_not_a_value_of_the_setting_is_left_out() -> None:
    assert renewal.settings({}) == {}
    assert renewal.settings({"key_size": "$(id)", "email": "", "PATH": "/tmp", "orders_a_week": "9"}) == {
        "orders_a_week": 9
    }
