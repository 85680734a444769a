"""The kind `certificate` where a second CA is declared: when an order is refused, what may be in the renewal file, and
which CA has issued what is there."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from reconciler import x509
from reconciler.kinds.certificate import certbot
from reconciler.kinds.certificate.ordering import BY, SecondAuthority
from reconciler.model import Plan
from reconciler.questions.system import CommandResult
from tests.kinds.certificate.pairs import LINEAGE, NAMES, NOW, WHOLE, commands, fullchain
from tests.kinds.certificate.test_lineage import CONF, answers, lineage, looked

FIRST = "https://ca/dir"
SECOND = SecondAuthority("https://second/dir", "/orders.second", "sh limits", "sh caa")
OVERDUE = fullchain(days=(-80, 10))
AT_SECOND = CONF.replace(FIRST.encode(), SECOND.server.encode())
LIMIT = CommandResult(75, "5 certificates, and the limit is 5")


def caa(verdict: str) -> CommandResult:
    lines = [f"{verdict} {name} the set of example.org says so" for name in NAMES]
    return CommandResult(0, "\n".join(["ours ca.example - http-01", *lines]))


def shown(text: str | None = WHOLE, **more: Any) -> dict[str, Any]:
    """What the primary shows, and its answers about the second CA."""
    nothing = CommandResult(0, "")
    about = {
        "second limits": nothing,
        "second caa": caa("open"),
        "second issued": nothing,
        "caa": caa("open"),
    }
    return answers(text, **{**about, **more})


def plan(text: str | None = WHOLE, **more: Any) -> Plan:
    return looked(shown(text, **more), second=SECOND)


@pytest.mark.parametrize(
    ("first", "second", "why"),
    [
        ({}, {}, None),
        ({"limits": LIMIT}, {}, None),
        ({"caa": caa("forbidden")}, {}, None),
        ({}, {"second limits": LIMIT}, None),
        (
            {"limits": LIMIT},
            {"second caa": caa("forbidden")},
            "the second CA, https://second/dir: the CA would refuse",
        ),
        ({"caa": caa("forbidden")}, {"second limits": LIMIT}, "https://second/dir: 5 certificates"),
    ],
)
@pytest.mark.parametrize("text", [OVERDUE, None], ids=["overdue", "none"])
def test_where_time_is_short_both_have_to_refuse(
    text: str | None, first: dict[str, Any], second: dict[str, Any], why: str | None
) -> None:
    gone = {} if text else {"versions": CommandResult(2, "ls: No such file"), "live": None, "conf": None}
    made = plan(text, **{**gone, **first, **second})
    (action,) = made.actions
    assert (why or "") in str(action.blocked or "")
    assert bool(action.blocked) == bool(why)
    assert ("certificate.sh order" in commands(made)) == (why is None)
    told = any(
        "it is ordered at the second CA, https://second/dir" in each for each in made.notes.get(LINEAGE, ())
    )
    assert told == (bool(first) and why is None)


def test_with_plenty_of_time_the_first_alone_is_asked() -> None:
    made = plan(fullchain(names=NAMES[:-1]), limits=LIMIT)
    (action,) = made.actions
    assert action.blocked == LIMIT.output
    assert commands(made) == ""


def test_which_has_issued_what_is_there_is_told_and_is_no_difference() -> None:
    serial = x509.serial_hex(x509.chain(WHOLE)[0]).upper()
    mine, other = (shown(**{"second issued": CommandResult(0, each)}) for each in (serial, "0A"))
    found = [dict(lineage(second=SECOND).read(each, NOW))[BY] for each in (mine, other)]  # type: ignore[arg-type]
    assert found == [SECOND.server, FIRST]
    made = looked(mine, second=SECOND)
    assert made.actions == ()
    note = "it was issued by the second CA, https://second/dir; the next renewal goes back to https://ca/dir"
    assert note in made.notes[LINEAGE]
    assert note not in looked(other, second=SECOND).notes[LINEAGE]


@pytest.mark.parametrize(
    ("conf", "account", "deltas"),
    [
        (AT_SECOND, "", []),
        (AT_SECOND, "0a/meta.json is missing", ["account", "renewal: server"]),
        (CONF.replace(b"//ca/", b"//x/"), "", ["renewal: server"]),
    ],
)
def test_the_renewal_file_may_name_the_second_while_its_account_is_there(
    conf: bytes, account: str, deltas: list[str]
) -> None:
    made = plan(conf=conf, account=CommandResult(1 if account else 0, account))
    assert sorted(delta.field for action in made.actions for delta in action.deltas) == deltas


def test_the_account_is_looked_for_at_the_ca_that_the_renewal_file_names(tmp_path: Path) -> None:
    of = certbot.CertbotLineage(str(tmp_path), "r")
    conf = tmp_path / "renewal" / "r.conf"
    conf.parent.mkdir()
    at = tmp_path / "accounts" / "second" / "dir" / "0a"
    at.mkdir(parents=True)
    for name in ("regr", "meta", "private_key"):
        (at / f"{name}.json").write_text("{}", encoding="utf-8")
    found = {}
    for server in (FIRST, SECOND.server):
        conf.write_text(f"[renewalparams]\naccount = 0a\nserver = {server}\n", encoding="utf-8")
        question = of.account_question(FIRST, SECOND.server)
        output = question.script([question])
        said = subprocess.run(["sh", "-c", output], capture_output=True, check=True).stdout
        (answer,) = question.parse(said, [question])
        found[server] = certbot.account({"account": answer})
    assert found[SECOND.server] == "there"
    assert "is missing" in str(found[FIRST])
