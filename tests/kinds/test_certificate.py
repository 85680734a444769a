"""The kinds about the certificate, without a host: what they make of what a host shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from reconciler import x509
from reconciler.blueprint import resources
from reconciler.environment.settings import Certificate, Environment, Host
from reconciler.kinds.certificate.answer import NOTHING, Answer
from reconciler.kinds.certificate.lineage import Lineage
from reconciler.kinds.certificate.pair import Trust
from reconciler.kinds.certificate.pinned import Pinned
from reconciler.kinds.certificate.release import Arrival, Delivery, Release
from reconciler.kinds.certificate.serving import Serving, TlsService
from reconciler.model import CannotSee, Plan, Ref, Resource, Seen
from reconciler.plan.planner import plan
from reconciler.questions.files import FileEntry
from reconciler.questions.system import CommandResult
from reconciler.questions.tls import HandshakeQuestion, HandshakeResult
from tests.support.forged import Key, authority, pem, rsa_key, signed

NOW = datetime.now(UTC)
NO_KEY = CommandResult(1, "Could not read key from /x/privkey.pem")
NAMES = ("cn.example.org", "a.example.org", "b.example.org")
ROOT, INTERMEDIATE = authority()
TRUST = Trust(NAMES, pem(ROOT.certificate).encode())
KEY = rsa_key()
LINEAGE = Ref("a", "certificate", NAMES[0])


def fullchain(key: Key = KEY, names: tuple[str, ...] = NAMES, days: tuple[float, float] = (-1, 89)) -> str:
    return pem(signed(names[0], key, INTERMEDIATE, names=names, days=days), INTERMEDIATE.certificate)


WHOLE = fullchain()
ID = x509.identity(x509.chain(WHOLE))


def public(text: str) -> CommandResult:
    return CommandResult(0, x509.public_key_pem(x509.chain(text)[0]).strip())


def lineage(**more: Any) -> Lineage:
    return Lineage(
        host="a",
        router=NAMES[0],
        folder="/etc/letsencrypt",
        script="/etc/letsencrypt/renewal/certificate.sh",
        server="https://ca/dir",
        trust=TRUST,
        renewal=(("server", "https://ca/dir"),),
        spare="/spare",
        **more,
    )


def answers(text: str | None, said: CommandResult | None = None, **more: Any) -> dict[str, Any]:
    """What the primary shows whose lineage is in order but for this."""
    links = {
        f"link {name}": FileEntry("l", "0777", "root", "root", 0, f"../../archive/x/{name}2.pem")
        for name in ("cert", "chain", "fullchain", "privkey")
    }
    return {
        "conf": b"server = https://ca/dir\n",
        "fullchain": text,
        "public": said or public(text or WHOLE),
        "spare fullchain": None,
        "spare public": NO_KEY,
        "live": FileEntry("d", "0755", "root", "root", 0, ""),
        "versions": CommandResult(0, "cert1.pem privkey1.pem privkey2.pem"),
        "limits": CommandResult(0, ""),
        "ari": None,
        **links,
        **more,
    }


def planned(resource: Resource, seen: Seen, **others: Mapping[Ref, Seen]) -> Plan:
    states: dict[Ref, Seen] = {resource.ref: seen}
    for each in others.values():
        states |= each
    return plan("e", [resource], states, {})


def looked(shown: dict[str, Any], **more: Any) -> Plan:
    resource = lineage(**more)
    return planned(resource, resource.read(shown, NOW))


def commands(made: Plan) -> str:
    return "\n".join(step.command for action in made.actions for step in action.steps)


def test_a_lineage_in_order_is_left_alone() -> None:
    assert looked(answers(WHOLE)).actions == ()


@pytest.mark.parametrize(
    ("text", "said", "field"),
    [
        (fullchain(ec.generate_private_key(ec.SECP256R1())), None, "key"),
        (fullchain(names=NAMES[:-1]), None, "names"),
        (fullchain(names=(*NAMES, "more.example.org")), None, "names"),
        (fullchain(days=(-90, -1)), None, "fresh"),
        (fullchain(days=(-70, 20)), None, "fresh"),
        (WHOLE, public(fullchain(rsa_key())), "pair"),
    ],
    ids=["ECDSA", "a name less", "a name more", "expired", "overdue", "another key"],
)
def test_what_only_another_certificate_settles_is_ordered(
    text: str, said: CommandResult | None, field: str
) -> None:
    (action,) = looked(answers(text, said)).actions
    assert field in {delta.field for delta in action.deltas}
    assert [delta.want for delta in action.deltas if delta.field == "release"] == ["(another)"]
    assert [step.command for step in action.steps] == ["sh /etc/letsencrypt/renewal/certificate.sh order"]


@pytest.mark.parametrize(
    "result",
    [
        CommandResult(124, ""),
        CommandResult(127, "sh: 1: openssl: not found"),
        CommandResult(126, "sh: 1: openssl: Permission denied"),
        CommandResult(1, "Could not open file or uri for loading key from privkey.pem: Permission denied"),
        CommandResult(1, "Could not read key from privkey.pem\nfile_read: Input/output error"),
        CommandResult(137, ""),
        CannotSee("the account may not look"),
    ],
    ids=["timeout", "no openssl", "openssl not executable", "denied", "broken disk", "killed", "not seen"],
)
def test_a_key_that_could_not_be_checked_is_unknown_and_nothing_is_ordered(
    result: CommandResult | CannotSee,
) -> None:
    made = looked(answers(WHOLE, public=result))
    assert made.actions == ()
    assert list(made.unknown) == [LINEAGE]
    in_use = looked(answers(None, **{"spare fullchain": WHOLE, "spare public": result}))
    assert in_use.actions == ()
    assert list(in_use.unknown) == [LINEAGE]


@pytest.mark.parametrize(
    "result",
    [CommandResult(124, ""), CommandResult(2, "ls: cannot open directory 'x': Permission denied")],
    ids=["timeout", "denied"],
)
def test_versions_that_could_not_be_listed_are_unknown_and_nothing_is_set_aside(
    result: CommandResult,
) -> None:
    made = looked(answers(WHOLE, versions=result))
    assert (made.actions, list(made.unknown)) == ((), [LINEAGE])


@pytest.mark.parametrize(
    ("text", "said"),
    [(WHOLE[:400], None), ("", None), (WHOLE, CommandResult(1, "unable to load key"))],
    ids=["truncated", "empty", "no key"],
)
def test_what_certbot_cannot_read_is_set_aside_before_the_order(
    text: str, said: CommandResult | None
) -> None:
    (action,) = looked(answers(text, said or public(WHOLE))).actions
    aside, order = [step.command for step in action.steps]
    assert "/var/lib/reconciler/former-" in aside
    assert order.endswith("order")


def test_a_name_more_and_less_is_told_by_name() -> None:
    (action,) = looked(answers(fullchain(names=(*NAMES[:-1], "c.example.org")))).actions
    assert [d.text for d in action.deltas if d.field == "names"] == ["- c.example.org\n+ b.example.org"]


def test_a_chain_that_leads_nowhere_is_no_reason_for_an_order() -> None:
    leaf = pem(x509.chain(WHOLE)[0])
    (action,) = looked(answers(leaf, public(WHOLE))).actions
    assert "does not lead to a known root" in str(action.blocked)
    assert action.steps == ()


def test_at_the_cas_limit_an_order_is_refused_beforehand() -> None:
    shown = answers(fullchain(days=(-90, -1)), limits=CommandResult(75, "5 certificates in 7 days"))
    (action,) = looked(shown).actions
    assert action.blocked == "5 certificates in 7 days"
    assert looked(answers(WHOLE, limits=CommandResult(75, "5 certificates in 7 days"))).actions == ()


def test_without_a_lineage_one_is_ordered_or_taken_over() -> None:
    none = answers(
        None,
        conf=None,
        live=None,
        versions=CommandResult(2, "ls: cannot access 'x': No such file or directory"),
    )
    (action,) = looked(none).actions
    assert (action.verb, commands(looked(none))) == (
        "create",
        "sh /etc/letsencrypt/renewal/certificate.sh order",
    )
    spare = {"spare fullchain": WHOLE, "spare public": public(WHOLE)}
    taken = looked({**none, **spare})
    assert "certbot register" in commands(taken)
    assert "order" not in commands(taken)
    # One that is about to end, or that shall be replaced, is not worth it.
    old = fullchain(days=(-80, 10))
    assert "order" in commands(looked({**none, "spare fullchain": old, "spare public": public(old)}))
    assert "order" in commands(looked({**none, **spare}, replaces=ID))
    # What certbot remembers of one that is gone would make it call the next `-0001`.
    assert "former-" in commands(looked(answers(None)))


@pytest.mark.parametrize(
    "more",
    [
        {"live": FileEntry("l", "0777", "root", "root", 0, "/var/lib/reconciler/certificate/current")},
        {"versions": CommandResult(2, "ls: cannot access 'x': No such file or directory")},
        {"conf": None},
    ],
    ids=["live is our link", "no versions", "certbot remembers nothing"],
)
def test_what_lies_in_certbots_place_is_set_aside_and_never_written_through(more: dict[str, Any]) -> None:
    spare = {"spare fullchain": WHOLE, "spare public": public(WHOLE)}
    told = commands(looked(answers(WHOLE, **spare, **more)))
    assert "former-" in told
    assert told.index("former-") < told.index("certbot register")
    assert "ls " not in told


def test_links_to_an_older_version_and_a_changed_renewal_need_no_order() -> None:
    link = FileEntry("l", "0777", "root", "root", 0, "../../archive/x/privkey1.pem")
    (action,) = looked(answers(WHOLE, **{"link privkey": link})).actions
    assert "privkey.pem leads to ../../archive/x/privkey1.pem; the newest version is 2" in str(action.deltas)
    assert "order" not in commands(looked(answers(WHOLE, **{"link privkey": link})))
    changed = looked(answers(WHOLE, conf=b"server = https://other/dir\n"))
    assert commands(changed).startswith("sed -i ")


def test_the_cas_own_window_counts_for_this_certificate_only() -> None:
    name = x509.ari_id(x509.chain(WHOLE)[0])
    over = (NOW - timedelta(days=1)).isoformat()
    body = f'{{"suggestedWindow": {{"start": "{over}", "end": "{over}"}}}}'
    assert "order" in commands(looked(answers(WHOLE, ari=f"{name}\n{body}".encode())))
    for other in (f"x.y\n{body}", f"{name}\nnonsense", f"{name}\n{{}}", ""):
        assert looked(answers(WHOLE, ari=other.encode())).actions == ()


def test_what_shall_be_replaced_is_ordered_once() -> None:
    resource = lineage()
    seen = resource.read(answers(WHOLE), NOW)
    assert isinstance(seen, Mapping)
    again = resource.replacement(seen)
    assert "order" in commands(planned(again, seen))
    other = fullchain()
    assert planned(again, again.read(answers(other), NOW)).actions == ()


def test_what_the_account_may_not_see_is_not_judged() -> None:
    hidden = CannotSee("no")
    assert lineage().read(answers(WHOLE, conf=hidden), NOW) == hidden
    assert lineage().read(answers(WHOLE, fullchain=hidden), NOW) == hidden
    denied = answers(WHOLE, CommandResult(1, "Permission denied"))
    assert lineage().read(denied, NOW) is not None


def test_a_former_primary_sets_its_lineage_aside() -> None:
    resource = lineage(absent=True)
    assert planned(resource, resource.read({"conf": None}, NOW)).actions == ()
    (action,) = planned(resource, resource.read({"conf": b"x"}, NOW)).actions
    assert (action.verb, "former-" in action.steps[0].command) == ("remove", True)


# -- releases ----------------------------------------------------------------------------------


def release(**more: Any) -> Release:
    return Release(
        host="b",
        router=NAMES[0],
        lineage=LINEAGE,
        trust=TRUST,
        users=("postgres",),
        source="/in",
        account="sync",
        **more,
    )


def staged(**more: Any) -> dict[str, Any]:
    return {
        "fullchain": WHOLE,
        "public": public(WHOLE),
        "key": FileEntry("f", "0640", "root", "ssl-cert", 1700, ""),
        "acl": {"user:": "rw-", "group:": "r--", "other:": "---"},
        "parts": CommandResult(0, ""),
        "readable by postgres": CommandResult(0, ""),
        **more,
    }


def of_release(shown: dict[str, Any], wanted: str = ID) -> Plan:
    resource = release()
    return planned(resource, resource.read(shown, NOW), lineage={LINEAGE: {"release": wanted}})


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"key": FileEntry("f", "0644", "root", "ssl-cert", 1, "")}, "key file"),
        ({"key": FileEntry("f", "0640", "postgres", "ssl-cert", 1, "")}, "key file"),
        ({"key": None}, "key file"),
        ({"acl": {"user:": "rw-", "user:daemon": "r--"}}, "key file"),
        ({"readable by postgres": CommandResult(1, "")}, "readable by postgres"),
        ({"parts": CommandResult(1, "cmp: EOF")}, "parts"),
        ({"public": CommandResult(1, "unable to load key")}, "pair"),
        ({"fullchain": fullchain(names=NAMES[:1])}, "names"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_a_release_is_staged_again_where_anything_is_wrong(more: dict[str, Any], field: str) -> None:
    (action,) = of_release(staged(**more)).actions
    assert field in {delta.field for delta in action.deltas}
    assert action.steps[0].command.startswith(f"sh /var/lib/reconciler/bin/release stage {ID} ")


def test_a_release_in_order_is_left_alone_and_an_older_one_is_not() -> None:
    assert of_release(staged()).actions == ()
    assert of_release(staged(), "another").actions[0].deltas[0].field == "release"
    resource = release()
    nobody_knows = planned(resource, resource.read(staged(), NOW), lineage={LINEAGE: CannotSee("away")})
    assert nobody_knows.actions == ()
    assert resource.read(staged(fullchain=None), NOW) is None
    unprivileged = staged(
        **{"readable by postgres": CommandResult(1, "runuser: may not be used by non-root users")}
    )
    assert isinstance(resource.read(unprivileged, NOW), CannotSee)


def test_a_delivery_is_due_until_it_has_arrived_over_there() -> None:
    arrival = Arrival(host="b", folder="/in", trust=TRUST)
    delivery = Delivery(
        host="a", peer="b", lineage=LINEAGE, arrival=arrival.ref, account="sync", identity="/k", port=22
    )

    def due(shown: dict[str, Any]) -> bool:
        states = {LINEAGE: {"release": ID}, arrival.ref: arrival.read(shown, NOW)}
        return bool(planned(delivery, delivery.read({}, NOW), states=states).actions)

    nothing = {
        "fullchain": None,
        "public": CommandResult(1, ""),
        "staged fullchain": None,
        "staged public": CommandResult(1, ""),
        "staged parts": CommandResult(1, ""),
    }
    assert due(nothing)
    assert due({**nothing, "fullchain": WHOLE, "public": CommandResult(1, "unable to load key")})
    assert not due({**nothing, "fullchain": WHOLE, "public": public(WHOLE)})
    there = {**nothing, "staged fullchain": WHOLE, "staged public": public(WHOLE)}
    assert due(there), "cert.pem and chain.pem are not what fullchain.pem is"
    assert not due({**there, "staged parts": CommandResult(0, "")})


def test_permissions_alone_need_no_delivery() -> None:
    (action,) = of_release(staged(key=FileEntry("f", "0644", "root", "ssl-cert", 1, ""))).actions
    assert action.steps[0].command.endswith(f"stage {ID} /var/lib/reconciler/certificate/staged")
    (action,) = of_release(staged(parts=CommandResult(1, ""))).actions
    assert action.steps[0].command.endswith(f"stage {ID} /in sync")


# -- serving -----------------------------------------------------------------------------------

APACHE = TlsService("apache", 443, "tls", "apache2ctl -t", "systemctl reload apache2", (NAMES[0], None))
POSTGRESQL = TlsService("postgresql", 5432, "postgresql", None, "systemctl reload postgresql", (None,))


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


def test_what_is_served_is_told_with_its_names_and_dates() -> None:
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


def test_names_that_are_served_differently_are_told_apart() -> None:
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


def test_without_the_primary_a_host_shall_serve_what_it_has() -> None:
    resource = serving()
    behind = resource.read(shown(fullchain()), NOW)
    made = planned(resource, behind, lineage={LINEAGE: CannotSee("away")})
    assert [delta.want for delta in made.actions[0].deltas] == [ID, ID]


def test_handshakes_that_end_badly_are_told_in_words() -> None:
    asked = [
        HandshakeQuestion(443, "tls", "a"),
        HandshakeQuestion(5432, "postgresql", None),
        HandshakeQuestion(1, "tls", None),
    ]
    said = b"0 1 140:error:0A00007B:SSL routines::bad signature:x\x002 124 \0"
    wrong, silent, hung = HandshakeQuestion.parse(said, asked)
    assert "its key does not belong to its certificate" in wrong.reason
    assert isinstance(silent, CannotSee)
    assert hung.reason == "no answer within 10 s"
    assert replace(wrong, reason="") == HandshakeResult("")


def test_port_80_is_loaded_again_only_where_something_else_answers() -> None:
    link = Ref("b", "current", "/c")
    answer = Answer(host="b", path="/p", text="t", names=("a", "b"), established=link)

    def made(first: CommandResult, second: CommandResult, established: Seen = None) -> int:
        seen = answer.read({"a": first, "b": second}, NOW)
        return len(planned(answer, seen, link={link: established}).actions)

    good, other, refused = CommandResult(0, "t"), CommandResult(0, "x"), CommandResult(7, "refused")
    assert made(good, good) == 0
    assert made(good, other) == 1
    assert made(refused, refused) == 1
    assert made(refused, refused, {"type": "link"}) == 0
    assert answer.read({"a": refused, "b": CommandResult(127, "")}, NOW) == {
        "as a": NOTHING,
        "as b": "curl is not there",
    }


def test_what_somebody_has_pinned_is_reported_and_never_planned_for() -> None:
    pinned = Pinned(host="a", path="/live/privkey.pem.pk8", key="/current/privkey.pem")
    there = FileEntry("f", "0650", "tomcat", "ssl-cert", 1200, "")

    def look(public: CommandResult, used: CommandResult, file: FileEntry | None = there) -> tuple[Any, Any]:
        seen = pinned.read({"file": file, "public": public, "used": used}, NOW)
        return seen, plan("e", [pinned], {pinned.ref: seen}, {}).actions

    for public, used, whose in (
        (CommandResult(0, "A"), CommandResult(0, "A"), "the one in use"),
        (CommandResult(0, "A"), CommandResult(0, "B"), "an older one"),
        (CommandResult(1, ""), CommandResult(0, "B"), "cannot be read"),
    ):
        seen, actions = look(public, used)
        assert seen == {
            "type": "file",
            "mode": "0650",
            "owner": "tomcat",
            "group": "ssl-cert",
            "its key": whose,
        }
        assert actions == ()
    assert look(CommandResult(1, ""), CommandResult(0, "B"), None) == (None, ())


@pytest.mark.parametrize(
    ("size", "waits"), [(1, [0, 1, 2, 3, 4]), (2, [0, 0, 2, 2, 4]), (9, [0, 0, 0, 0, 4])]
)
def test_as_many_hosts_switch_at_a_time_as_may_and_the_primary_last(size: int, waits: list[int]) -> None:
    hosts = tuple(Host(name=f"h{number}", primary=number == 4) for number in range(5))
    env = Environment(
        name="e", router="r", hosts=hosts, certificate=Certificate(max_unavailable=size, trusted=b"")
    )
    switches = {r.host: r for r in resources(env) if isinstance(r, Serving)}
    found = [sum(ref.kind == "serving" for ref in switches[host.name].needs) for host in hosts]
    assert found == waits
    assert all(sum(ref.kind == "release" for ref in each.needs) == 5 for each in switches.values())
