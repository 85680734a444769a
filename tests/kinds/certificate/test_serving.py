"""The kind `serving`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler import x509
from reconciler.kinds.certificate.serving import OLDER, Serving, TlsService
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
