"""The kind `certificate` where a profile is declared: what certbot's version makes of it."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.kinds.certificate import profile
from reconciler.model import CannotSee, Plan
from reconciler.questions.system import CommandResult
from tests.kinds.certificate.pairs import LINEAGE, WHOLE, commands, fullchain
from tests.kinds.certificate.test_lineage import CONF, answers, looked

KEPT = CONF.replace(b"account = 00ff\n", b"account = 00ff\nrequired_profile = shortlived\n")


def plan(version: str, *, text: str = WHOLE, declared: str | None = "shortlived", **more: Any) -> Plan:
    """The plan where certbot says that it is of this version."""
    shown = answers(text, **{"certbot": CommandResult(0, version), **more})
    return looked(shown, profile=declared)


def test_a_certbot_that_cannot_ask_for_it_is_told_before_anything_is_ordered() -> None:
    for text in (WHOLE, fullchain(days=(-80, 10)), None):
        made = plan("2.1.0", text=text)
        assert commands(made) == ""
        (why,) = (str(action.blocked) for action in made.actions)
        assert "certbot is 2.1.0 there, and only 4.0 or newer can ask" in why
        assert "[certbot-too-old]" in why


def test_one_that_is_about_to_be_installed_is_judged_by_what_apt_would_bring() -> None:
    (action,) = plan("to come 2.1.0-4", text=None).actions
    assert "certbot is 2.1.0-4 there" in str(action.blocked)
    assert "certificate.sh order" in commands(plan("to come 4.0.0-2", text=None))


@pytest.mark.parametrize(
    ("version", "conf", "declared", "differs"),
    [
        ("4.0.0", CONF, "shortlived", False),
        ("4.0.0", KEPT, "shortlived", False),
        ("4.1.1", CONF, "shortlived", True),
        ("5.8.0", KEPT, "shortlived", False),
        ("5.8.0", KEPT, "tlsserver", True),
        ("5.8.0", KEPT, None, True),
        ("2.1.0", CONF, None, False),
    ],
)
def test_the_renewal_file_says_it_where_certbot_keeps_it(
    version: str, conf: bytes, declared: str | None, differs: bool
) -> None:
    made = plan(version, conf=conf, declared=declared)
    assert [delta.field for action in made.actions for delta in action.deltas] == (
        ["renewal: required_profile"] if differs else []
    )
    written = f"/a required_profile = {declared}" in commands(made)
    assert written == (differs and declared is not None)
    assert ("/^required_profile = /d" in commands(made)) == differs


def test_a_version_that_is_not_seen_stops_nothing() -> None:
    shown = answers(WHOLE, certbot=CannotSee("it did not end in time"))
    assert looked(shown, profile="shortlived").actions == ()
    assert profile.version("built by hand") is None


def test_a_file_that_is_written_anew_has_it() -> None:
    made = plan("5.8.0", conf=b"[renewalparams\n")
    texts = [step.stdin or "" for action in made.actions for step in action.steps]
    assert "required_profile = shortlived\n" in "".join(texts)
    assert LINEAGE in {action.ref for action in made.actions}
