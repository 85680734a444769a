"""What a lineage shows of the CAA records of the DNS, and what a plan makes of that."""

from __future__ import annotations

from reconciler.model import CannotSee, Plan
from reconciler.output.plans import PlanText, plan_lines
from reconciler.output.text import Style
from reconciler.questions.system import CommandResult
from tests.kinds.certificate.pairs import NAMES, NOW, TRUST, WHOLE, fullchain, planned
from tests.kinds.certificate.test_lineage import answers, lineage

OVERDUE = fullchain(days=(-70, 20))
OURS = "ours letsencrypt.org,other https://ca/acct/1"


def looked(text: str, *told: str, ours: str = OURS) -> Plan:
    """The plan where the DNS has this for the names, in their order."""
    lines = [f"{word} {name} what is told" for word, name in zip(told, NAMES, strict=False)]
    resource = lineage(caa="caa")
    shown = answers(text, caa=CommandResult(0, "\n".join([ours, *lines])))
    return planned(resource, resource.read(shown, NOW))


def text_of(plan: Plan) -> str:
    return "\n".join(plan_lines(plan, PlanText(style=Style(colour=False))))


def test_an_order_that_the_ca_would_refuse_is_refused_and_the_names_are_told() -> None:
    (action,) = looked(OVERDUE, "bound", "forbidden", "forbidden").actions
    assert action.steps == ()
    assert f"[caa-forbids]: {NAMES[1]}, {NAMES[2]}: what is told" in str(action.blocked)
    for word in ("bound", "open", "none", "untold"):
        assert looked(OVERDUE, *[word] * len(NAMES)).actions[0].blocked is None


def test_what_the_dns_has_is_nothing_to_settle_and_no_approval_depends_on_it() -> None:
    assert looked(WHOLE, "forbidden", "none").actions == ()
    digests = {looked(OVERDUE, word).actions[0].seen_digest for word in ("bound", "none", "untold")}
    assert len(digests) == 1


def test_a_plan_of_the_certificate_prints_the_records_to_publish() -> None:
    printed = text_of(looked(OVERDUE, "bound", "open", "none"))
    for name, missing in zip(NAMES, (False, True, True), strict=False):
        record = f'{name}. IN CAA 0 issue "letsencrypt.org; accounturi=https://ca/acct/1; validationmethods=http-01"'
        assert (f"note: {record}" in printed) == missing
    assert "note:" not in text_of(looked(OVERDUE, *["bound"] * len(NAMES)))
    first = text_of(looked(OVERDUE, "none", ours="ours letsencrypt.org -"))
    assert "accounturi=(known after apply: the account's URI); " in first
    bare = text_of(looked(OVERDUE, *["untold"] * len(NAMES), ours="ours letsencrypt.org -"))
    assert "cannot be told yet (what is told); if not, publish:" in bare
    assert bare.count("(known after apply: the account's URI); ") == len(NAMES)


def test_what_was_not_told_whole_is_untold() -> None:
    resource = lineage(caa="caa")
    for answer in (
        CannotSee("too long"),
        CommandResult(0, "ours a.example ?\nnone"),
        CommandResult(1, "sh: x"),
    ):
        seen = resource.read(answers(WHOLE, caa=answer), NOW)
        assert isinstance(seen, dict)
        assert {str(seen[f"CAA {name}"]).partition(":")[0] for name in TRUST.names} == {"untold"}
    assert not any(name.startswith("CAA") for name in lineage().read(answers(WHOLE), NOW) or {})
