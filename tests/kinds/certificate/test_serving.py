"""The kind `serving`."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from reconciler import x509
from reconciler.kinds.certificate.serving import OLDER, OVERDUE, Serving, TlsService
from reconciler.model import CannotSee, Plan, Ref
from reconciler.questions.files import FileEntry
from reconciler.questions.tls import HandshakeResult
from tests.kinds.certificate.pairs import (
    ID,
    LINEAGE,
    NAMES,
    NOW,
    TRUST,
    WHOLE,
    fullchain,
    planned,
)

APACHE = TlsService(
    "apache", 443, "tls", "apache2ctl -t", "systemctl reload apache2", "apache2", (NAMES[0], None)
)
POSTGRESQL = TlsService("postgresql", 5432, "postgresql", None, "systemctl reload pg", "pg", (None,))


def serving(**more: Any) -> Serving:
    return Serving(
        host="b", router=NAMES[0], lineage=LINEAGE, endpoints=(APACHE, POSTGRESQL), trust=TRUST, **more
    )


def shown(text: str = WHOLE, **more: Any) -> dict[str, Any]:
    links = {
        f"link {name}": FileEntry("l", "0777", "root", "root", 0, "releases/1")
        for name in ("staged", "current", "proven")
    }
    every = {"staged": WHOLE, "current": WHOLE, "proven": WHOLE, **links}
    every |= {"unit apache2": {"Age": "3600"}, "unit pg": {"Age": "3600"}}
    ports = {f"apache on 443 {NAMES[0]}": HandshakeResult(text), "apache on 443 None": HandshakeResult(text)}
    return {**every, **ports, "postgresql on 5432 None": HandshakeResult(text), **more}


def of_serving(seen: dict[str, Any], wanted: str = ID, **more: Any) -> Plan:
    resource = serving(**more)
    return planned(resource, resource.read(seen, NOW), lineage={LINEAGE: {"release": wanted}})


def test_what_is_served_is_left_alone_and_what_is_behind_is_loaded() -> None:
    assert of_serving(shown()).actions == ()
    (action,) = of_serving(shown(fullchain())).actions
    assert action.verb == "reload"
    assert [step.command for step in action.steps][0:2] == ["apache2ctl -t", "systemctl reload apache2"]
    assert action.rescue == (), "the link was not touched"


def test_what_is_served_is_reported_with_its_names_and_dates() -> None:
    resource, text = serving(), fullchain()
    (leaf, *_), other = x509.chain(text), x509.identity(x509.chain(text))
    seen = resource.read(shown(**{"postgresql on 5432 None": HandshakeResult(text)}), NOW)
    assert isinstance(seen, dict)
    begin, end = x509.window(leaf)
    assert (seen[f"begin of {other}"], seen[f"end of {other}"]) == (
        begin.isoformat(timespec="minutes"),
        end.isoformat(timespec="minutes"),
    )
    assert str(seen[f"names of {other}"]).split() == sorted(NAMES)
    assert seen[f"names of {ID}"] == seen[f"names of {other}"]
    silent = resource.read(shown(""), NOW)
    assert isinstance(silent, dict)
    assert not any(" of " in name for name in silent)


def test_a_switch_has_a_rescue_and_may_settle() -> None:
    (action,) = of_serving(shown(), "another", settle=7).actions
    words = [step.command for step in action.steps]
    assert words[0] == "sh /var/lib/reconciler/bin/release use staged"
    assert "sleep 7" in words
    assert action.rescue[0].command == "sh /var/lib/reconciler/bin/release use proven"
    unproven = of_serving(shown(proven=None), "another").actions[0]
    assert (unproven.verb, unproven.rescue) == ("change", ())


def test_one_that_loads_it_by_itself_is_waited_for_and_nothing_is_done_to_it() -> None:
    itself = replace(APACHE, reload=None)
    resource = replace(serving(deadline=90), endpoints=(itself, POSTGRESQL))
    seen = resource.read(shown(fullchain()), NOW)
    for wanted, first in ((ID, "release prove"), ("another", "release use staged")):
        (action,) = planned(resource, seen, lineage={LINEAGE: {"release": wanted}}).actions
        assert first in action.steps[0].command
        steps = (*action.steps, *action.rescue)
        assert not any("apache2" in step.command for step in steps)
        about = [step for step in steps if "443 tls" in step.command]
        assert len(about) == 1 + bool(action.rescue)
        assert {step.command for step in about} == {resource._prove(itself, 90)}
        assert about[0].why.startswith("waits until apache has loaded it by itself")
        assert any("systemctl reload pg" in step.command for step in action.steps)


def test_names_that_are_served_differently_are_shown_apart() -> None:
    other = fullchain()
    (action,) = of_serving(shown(**{"apache on 443 None": HandshakeResult(other)})).actions
    assert f"cn.example.org: {ID}; without a name: " in str(action.deltas[0].seen)
    failing = shown(**{"postgresql on 5432 None": HandshakeResult("", "it closes the connection")})
    assert of_serving(failing).actions[0].deltas[0].seen == "it closes the connection"


def test_a_service_that_is_down_is_its_own_resources_matter() -> None:
    down = {f"apache on 443 {name}": HandshakeResult("", "nothing listens") for name in APACHE.names}
    assert of_serving(shown(**down)).actions == ()
    assert of_serving(shown(**down), "another").actions != ()


def test_an_older_copy_of_the_same_release_is_left_behind() -> None:
    elsewhere = FileEntry("l", "0777", "root", "root", 0, "releases/2")
    (action,) = of_serving(shown(**{"link staged": elsewhere})).actions
    assert [delta.seen for delta in action.deltas] == [f"{ID}, an older copy"]


def test_without_the_primary_a_host_serves_what_it_has() -> None:
    resource = serving()
    behind = resource.read(shown(fullchain()), NOW)
    made = planned(resource, behind, lineage={LINEAGE: CannotSee("away")})
    assert [delta.want for delta in made.actions[0].deltas] == [ID, ID]


def state(current: str = "old", proven: str = "old", served: str = "old", **more: Any) -> dict[str, Any]:
    return {"current": current, "proven": proven, "apache on 443": served, **more}


@pytest.mark.parametrize(
    ("found", "now", "worse"),
    [
        (state(), state("new", served="old"), True),  # it was led away, and not put back
        (state(), state(served="nothing listens"), True),  # the link was put back, its service not
        (state(), CannotSee("it was lost"), True),
        (CannotSee("it was not seen"), state(), True),
        (state(served="nothing listens"), state(served="the connection was reset"), False),
        (state("half", served="half"), state("new", served="half"), False),
        (state("half", served="old"), state("new", served="nothing listens"), True),
        (state("half"), CannotSee("it was lost"), False),
    ],
)
def test_a_host_is_worse_than_it_was_found(found: Any, now: Any, worse: bool) -> None:
    assert serving().is_worse(found, now) is worse


def test_where_the_one_in_use_is_about_to_expire_any_number_may_have_failed() -> None:
    everyone = tuple(Ref(host, "serving", NAMES[0]) for host in "abcde")
    resource = serving(rollout=everyone)
    late = NOW + timedelta(days=70)
    assert resource.tolerates(resource.read(shown(), NOW)) == 1
    assert resource.tolerates(resource.read(shown(), late)) == 5
    assert resource.tolerates(CannotSee("why")) == 1


@pytest.mark.parametrize(
    ("current", "proven", "first"),
    [
        ("new", "old", True),
        ("old", "old", False),
        (f"old{OLDER}", "old", False),
        ("new", "none", False),
        ("none", "old", False),
    ],
)
def test_what_was_left_half_way_goes_first(current: str, proven: str, first: bool) -> None:
    a, b, c = (Ref(host, "serving", NAMES[0]) for host in "abc")
    staged = Ref("a", "release", NAMES[0])
    settled = {"current": "old", "proven": "old"}
    seen = {a: settled, b: settled, c: {"current": current, "proven": proven}}
    middle = serving(follows=(staged, a), rollout=(a, b, c))
    last = replace(middle, host="c", follows=(staged, a, b))
    assert tuple(middle.following(seen)) == ((staged, a, c) if first else (staged, a))
    assert tuple(last.following(seen)) == ((staged,) if first else (staged, a, b))
    assert tuple(middle.following({c: CannotSee("why")})) == (staged, a)


def test_canaries_count_until_the_certificate_in_use_is_about_to_expire_or_the_host_was_switched() -> None:
    first = Ref("a", "serving", NAMES[0])
    resource = serving(tried_first=(first,))
    new, old = {"current": "n", "proven": "n"}, {"current": "o", "proven": "o"}
    assert [resource.canaries(each) for each in (new, old, None)] == [(first,)] * 3
    assert resource.canaries({**old, OVERDUE: True}) == ()
    assert resource.canaries({"current": "n", "proven": "o"}) == ()


def test_the_waves_are_noted_of_a_switch_and_not_of_a_repair() -> None:
    def notes(seen: dict[str, Any]) -> list[tuple[str, ...]]:
        return [*of_serving(seen, waves="the rollout goes in 2 waves: a; b").notes.values()]

    assert notes(shown(current=fullchain())) == [("the rollout goes in 2 waves: a; b",)]
    assert notes(shown(fullchain())) == []
    assert notes(shown()) == []
