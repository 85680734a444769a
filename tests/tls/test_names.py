"""What `verify` makes of what the DNS has for the names of the certificate."""

from __future__ import annotations

from datetime import UTC, datetime
from xml.etree import ElementTree as ET

import pytest

from reconciler.document import as_json
from reconciler.environment.settings import Environment, Host
from reconciler.model import CannotSee, Observation, Ref
from reconciler.output import junit, text
from reconciler.output.documents.results import verify_document
from reconciler.output.prometheus import MetricsInput, metrics_text
from reconciler.tls import verify
from reconciler.tls.names import NameCheck, name_checks
from tests.support.schemas import hold

A, ROUTER = "a.example.org", "cn.example.org"
ENVIRONMENT = Environment(name="e", router=ROUTER, hosts=(Host(name=A, primary=True),))
LINEAGE = Ref(A, "certificate", ROUTER)
RECORD = (
    f'{ROUTER}. IN CAA 0 issue "letsencrypt.org; accounturi=https://ca/acct/1; validationmethods=http-01"'
)


def checked(told: str) -> NameCheck:
    state = {
        "CAA identity": "letsencrypt.org",
        "CAA account": "https://ca/acct/1",
        f"CAA {ROUTER}": f"{told}: why: so",
    }
    (found,) = name_checks(ENVIRONMENT, Observation({LINEAGE: state}))
    return found


@pytest.mark.parametrize(
    ("told", "verdict", "record"),
    [
        ("bound", "ok", None),
        ("open", "open", RECORD),
        ("none", "open", RECORD),
        ("forbidden", "wrong", RECORD),
        ("untold", "unknown", None),
    ],
)
def test_a_name_is_judged_by_what_the_primary_was_told(told: str, verdict: str, record: str | None) -> None:
    assert checked(told) == NameCheck(ROUTER, verdict, "why: so", record)


def test_a_primary_that_cannot_be_looked_at_tells_nothing_and_one_left_out_is_not_asked() -> None:
    hidden = Observation({LINEAGE: CannotSee("it is hidden")})
    for sight, why in ((Observation({}, {A: "it is down"}), "it is down"), (hidden, "it is hidden")):
        assert [(each.verdict, each.detail) for each in name_checks(ENVIRONMENT, sight)] == [
            ("unknown", why)
        ] * 2
    assert name_checks(ENVIRONMENT, Observation()) == []


def test_names_are_told_in_every_format_and_an_open_one_is_no_failure() -> None:
    names = [checked(told) for told in ("bound", "open", "forbidden", "untold")]
    assert verify.summary(ENVIRONMENT, [], names) == "Verified: 4 checks, 1 wrong, 1 could not be judged."
    assert verify.summary(ENVIRONMENT, [], names[:2]).endswith(
        "2 checks of e, none wrong; names not bound by CAA: 1."
    )
    lines = list(text.name_lines(names, text.Style(False)))
    assert lines.count(f"    to publish: {RECORD}") == 2
    suite = ET.fromstring(junit.checks_xml("e", [], names))
    assert [suite.get(name) for name in ("tests", "failures", "errors")] == ["4", "1", "1"]
    run = MetricsInput("verify", "e", datetime(2026, 1, 1, tzinfo=UTC), [], names=names)
    assert 'reconcile_names{command="verify",environment="e",verdict="open"} 1' in metrics_text(run, {})
    assert not run.success
    hold(as_json(verify_document("e", None, [], names)), "verify")
