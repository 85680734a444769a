"""The kind `certificate`: what a lineage needs, from what the primary shows."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from reconciler import x509
from reconciler.kinds.certificate.certbot import CertbotLineage, versions
from reconciler.kinds.certificate.lineage import Lineage
from reconciler.kinds.certificate.release import Release
from reconciler.model import CannotSee, InTransit, Plan
from reconciler.plan.planner import plan
from reconciler.questions.files import FileEntry
from reconciler.questions.system import CommandQuestion, CommandResult
from tests.kinds.certificate.pairs import (
    ID,
    LINEAGE,
    NAMES,
    NO_KEY,
    NOW,
    TRUST,
    WHOLE,
    commands,
    fullchain,
    planned,
    public,
)
from tests.support.forged import pem, rsa_key

LIVE = f"/etc/letsencrypt/live/{NAMES[0]}"
CONF = (
    f"archive_dir = /etc/letsencrypt/archive/{NAMES[0]}\n"
    + "".join(f"{name} = {LIVE}/{name}.pem\n" for name in ("cert", "privkey", "chain", "fullchain"))
    + "[renewalparams]\n# Options\naccount = 00ff\nserver = https://ca/dir\n"
).encode()


def lineage(**more: Any) -> Lineage:
    return Lineage(
        host="a",
        router=NAMES[0],
        script="/etc/letsencrypt/renewal/certificate.sh",
        server="https://ca/dir",
        spare="/spare",
        **{
            "folder": "/etc/letsencrypt",
            "trust": TRUST,
            "renewal": (("server", "https://ca/dir"),),
            **more,
        },
    )


def answers(text: str | None, said: CommandResult | None = None, **more: Any) -> dict[str, Any]:
    """What the primary shows whose lineage is in order but for this."""
    end = (text or WHOLE).find("-----END CERT") + len("-----END CERTIFICATE-----\n")
    return {
        "conf": CONF,
        "account": CommandResult(0, ""),
        "fullchain": text,
        "public": said or public(text or WHOLE),
        "spare fullchain": None,
        "spare public": NO_KEY,
        "live": FileEntry("d", "0755", "root", "root", 0, ""),
        "cert": (text or WHOLE)[:end],
        "chain": (text or WHOLE)[end:],
        "versions": listed(),
        "limits": CommandResult(0, ""),
        "ari": None,
        **more,
    }


def listed(**targets: str) -> CommandResult:
    """Two versions, and where the four links lead: to the second, if no other target is given."""
    links = {
        name: targets.get(name, f"../../archive/{NAMES[0]}/{name}2.pem")
        for name in ("cert", "chain", "fullchain", "privkey")
    }
    now = "".join(f"\nnow {name} {target}" for name, target in links.items())
    return CommandResult(0, f"privkey1.pem\nprivkey2.pem{now}")


def looked(shown: dict[str, Any], **more: Any) -> Plan:
    """The plan of what is shown, also where it could be that of a moment, once that has stayed so."""
    resource = lineage(**more)
    seen = resource.read(shown, NOW)
    return planned(resource, seen.instead if isinstance(seen, InTransit) else seen)


def test_a_lineage_in_order_is_left_alone() -> None:
    assert looked(answers(WHOLE)).actions == ()
    assert isinstance(lineage().read(answers(WHOLE), NOW), dict)


@pytest.mark.parametrize(
    "shown",
    [
        answers(WHOLE, public(fullchain(rsa_key()))),
        answers(WHOLE, NO_KEY),
        answers(WHOLE, versions=CommandResult(0, "cert1.pem privkey1.pem privkey2.pem privkey3.pem")),
        answers(None),
    ],
    ids=["another key", "no key", "older links", "no certificate"],
)
def test_what_certbot_leaves_for_a_moment_is_looked_at_again_before_it_is_believed(shown: dict) -> None:
    resource = lineage()
    seen = resource.read(shown, NOW)
    assert isinstance(seen, InTransit)
    assert seen.instead is not None
    assert planned(resource, seen).actions == ()
    assert planned(resource, seen.instead).actions != ()


def test_a_smaller_key_than_is_declared_is_replaced_and_a_larger_one_is_not() -> None:
    for size, orders in ((2048, False), (3072, True)):
        made = looked(answers(WHOLE), trust=replace(TRUST, key_size=size))
        assert ("certificate.sh order" in commands(made)) == orders
    (action,) = made.actions
    (delta,) = (each for each in action.deltas if each.field == "key")
    assert (delta.seen, delta.want) == ("RSA 2048, smaller than 3072", "RSA")


def test_a_key_of_another_kind_or_curve_than_is_declared_is_replaced() -> None:
    for curve, orders in ((ec.SECP256R1(), False), (ec.SECP384R1(), True)):
        text = fullchain(ec.generate_private_key(curve))
        made = looked(answers(text), trust=replace(TRUST, key="ECDSA secp256r1"))
        assert ("certificate.sh order" in commands(made)) == orders
    (action,) = made.actions
    (delta,) = (each for each in action.deltas if each.field == "key")
    assert (delta.seen, delta.want) == ("ECDSA secp384r1", "ECDSA secp256r1")


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
    assert [delta.want for delta in action.deltas if delta.field == "release"] == ["(a new one)"]
    assert [step.command for step in action.steps] == [
        f"sh /etc/letsencrypt/renewal/certificate.sh order {x509.identity(x509.chain(text))}"
    ]


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
    assert order.partition(" order ")[2] in ("none", ID)


def test_names_added_and_removed_are_shown_by_name() -> None:
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
        "sh /etc/letsencrypt/renewal/certificate.sh order none",
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
    older = looked(answers(WHOLE, versions=listed(privkey="../../archive/x/privkey1.pem")))
    (action,) = older.actions
    assert "privkey.pem leads to ../../archive/x/privkey1.pem; the newest version is 2" in str(action.deltas)
    assert "order" not in commands(older)
    # As its newest version is called, but in the folder of another lineage: certbot would not renew it.
    foreign = looked(answers(WHOLE, versions=listed(privkey="../../archive/x/privkey2.pem")))
    assert "for f in cert chain fullchain privkey; do ln" in commands(foreign)
    changed = looked(answers(WHOLE, conf=CONF.replace(b"//ca/", b"//other/")))
    assert "sed -i -e '/^server = /d'" in commands(changed)


def test_a_lineage_older_than_the_release_in_use_gets_that_as_its_newest_version_without_an_order() -> None:
    older = fullchain(days=(-5, 85))
    shown = answers(older, **{"spare fullchain": WHOLE, "spare public": public(WHOLE)})
    (action,) = looked(shown).actions
    fields = {each.field: (each.seen, each.want) for each in action.deltas}
    assert fields["release in use"] == (f"newer: {ID}", "not newer")
    assert fields["release"][1] == ID
    assert "order" not in commands(looked(shown))
    assert "former-" not in commands(looked(shown))
    assert "install -m $m /spare/$f.pem $f$n.pem" in commands(looked(shown))
    # Nor where the older one is over, which alone would be a reason for an order.
    over = answers(fullchain(days=(-90, 1)), **{"spare fullchain": WHOLE, "spare public": public(WHOLE)})
    assert "order" not in commands(looked(over))
    assert "install -m $m /spare" in commands(looked(over))
    # What somebody replaces was not issued before it for nothing.
    held = x509.identity(x509.chain(older))
    assert "order" in commands(looked(shown, replaces=held))


def test_a_release_in_use_that_is_older_or_not_good_leaves_the_lineage_as_it_is() -> None:
    older, named = fullchain(days=(-5, 85)), fullchain(names=("other.example.org",))
    for spare, key in ((older, public(older)), (WHOLE, NO_KEY), (named, public(named))):
        mine = older if spare != older else WHOLE
        assert looked(answers(mine, **{"spare fullchain": spare, "spare public": key})).actions == ()


def test_the_release_in_use_is_added_beside_certbots_versions(tmp_path: Path) -> None:
    made, used = CertbotLineage(str(tmp_path), NAMES[0]), tmp_path / "used"
    archive, live = Path(made.archive), Path(made.live)
    for folder in (archive, live, used):
        folder.mkdir(parents=True)
    for name in ("cert", "chain", "fullchain", "privkey"):
        (used / f"{name}.pem").write_text(f"new {name}")
        for number in (9, 10):
            (archive / f"{name}{number}.pem").write_text("old")
        (live / f"{name}.pem").symlink_to(f"../../archive/{NAMES[0]}/{name}10.pem")
    for step in made.add(str(used)):
        subprocess.run(["sh", "-c", step.command], check=True)
    assert (live / "privkey.pem").resolve() == archive / "privkey11.pem"
    assert {
        name: (live / f"{name}.pem").read_text() for name in ("cert", "chain", "fullchain", "privkey")
    } == {name: f"new {name}" for name in ("cert", "chain", "fullchain", "privkey")}
    assert [oct((archive / f"{name}11.pem").stat().st_mode)[-3:] for name in ("privkey", "cert")] == [
        "600",
        "644",
    ]
    assert len(list(archive.iterdir())) == 12


OTHER = fullchain()


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("cert", None, "is missing"),
        ("cert", "", "is unreadable: there is no certificate in it"),
        ("cert", OTHER, "is not of the same certificate as fullchain.pem"),
        ("chain", None, "is missing"),
        ("chain", "-----BEGIN CERTIFICATE-----\nx", "is unreadable: it is cut off"),
        ("chain", WHOLE, "is not of the same certificate as fullchain.pem"),
    ],
)
def test_a_file_that_certbot_needs_is_told_with_its_path_and_made_of_fullchain_without_an_order(
    name: str, text: str | None, why: str
) -> None:
    shown = answers(WHOLE, **{name: text})
    assert isinstance(lineage().read(shown, NOW), InTransit), "certbot may be writing it"
    (action,) = looked(shown).actions
    ((field, seen),) = [(each.field, each.seen) for each in action.deltas]
    assert field == "files"
    assert str(seen).startswith(f"/etc/letsencrypt/archive/{NAMES[0]}/{name}2.pem {why}")
    assert "order" not in commands(looked(shown))
    hidden = {**shown, name: CannotSee("no")}
    assert looked(hidden).actions == ()
    # An order makes all of them anew, but certbot needs them before.
    steps = looked(answers(fullchain(days=(-90, -1)), **{name: None})).actions[0].steps
    assert "fullchain$n.pem >cert$n.pem" in steps[0].command
    assert "certificate.sh order" in steps[1].command


@pytest.mark.parametrize(
    ("made", "what"),
    [("mkdir {}", "directory"), ("ln -s /nowhere {}", "link that leads nowhere"), ("mkfifo {}", "fifo")],
)
@pytest.mark.parametrize("days", [(-1, 89), (-90, -1)], ids=["good", "over"])
def test_what_is_no_file_in_the_lineage_is_named_and_left_alone(
    tmp_path: Path, made: str, what: str, days: tuple[float, float]
) -> None:
    archive, live = (tmp_path / each / NAMES[0] for each in ("archive", "live"))
    archive.mkdir(parents=True)
    live.mkdir(parents=True)
    for name in ("cert", "chain", "fullchain", "privkey"):
        file = archive / f"{name}2.pem"
        subprocess.run(["sh", "-c", made.format(file) if name == "chain" else f": >{file}"], check=True)
        (live / f"{name}.pem").symlink_to(f"../../archive/{NAMES[0]}/{name}2.pem")
    where = CertbotLineage(str(tmp_path), NAMES[0])
    question = where.questions()["versions"]
    assert isinstance(question, CommandQuestion)
    said = subprocess.run(["sh", "-c", question.command], capture_output=True, text=True, check=True).stdout
    conf = CONF.replace(b"/etc/letsencrypt", str(tmp_path).encode())
    shown = answers(fullchain(days=days), chain=CannotSee("odd"), versions=CommandResult(0, said), conf=conf)
    (action,) = looked(shown, folder=str(tmp_path)).actions
    assert [each.seen for each in action.deltas if each.field == "files"] == [
        f"{archive}/chain2.pem is no file but a {what}"
    ]
    assert action.blocked == (
        f"{archive}/chain2.pem is no file but a {what}; certbot can neither renew nor order beside it:"
        " move it away, and apply"
    )
    assert action.steps == ()


def test_what_concerns_renewals_alone_holds_up_no_distribution() -> None:
    def waits(**shown: Any) -> bool:
        mine, new = lineage(), fullchain()
        release = Release(host="a", router=NAMES[0], lineage=mine.ref, trust=TRUST, source="/live")
        staged = {"fullchain": new, "public": public(new), "acl": None, "parts": CommandResult(0, "")}
        staged["key"] = FileEntry("f", "0640", "root", "ssl-cert", 0, "")
        seen = mine.read(answers(shown.pop("text", WHOLE), **shown), NOW)
        seen = seen.instead if isinstance(seen, InTransit) else seen
        made = plan("e", [mine, release], {mine.ref: seen, release.ref: release.read(staged, NOW)}, {})
        lineages, releases = made.actions
        return lineages.ref in releases.after

    versions = f"{listed().output}\nodd chain directory"
    assert not waits(chain=CannotSee("odd"), versions=CommandResult(0, versions))
    assert not waits(account=CommandResult(1, "gone"))
    assert not waits(conf=CONF.replace(b"//ca/", b"//other/"))
    assert waits(versions=listed(privkey="../../archive/x/privkey1.pem"))
    assert waits(text=fullchain(days=(-90, -1)))


def test_what_is_made_of_fullchain_is_as_certbot_wrote_it(tmp_path: Path) -> None:
    made = CertbotLineage(str(tmp_path), NAMES[0])
    archive = Path(made.archive)
    archive.mkdir(parents=True)
    for number, text in ((9, "older"), (10, WHOLE)):
        (archive / f"privkey{number}.pem").touch()
        (archive / f"fullchain{number}.pem").write_text(text)
    subprocess.run(["sh", "-c", made.restore_files().command], check=True)
    assert {each.name for each in archive.iterdir()} == {
        "privkey9.pem", "fullchain9.pem", "privkey10.pem", "fullchain10.pem", "cert10.pem", "chain10.pem",
    }  # fmt: skip
    cert, chain = ((archive / f"{name}10.pem").read_text() for name in ("cert", "chain"))
    assert (cert + chain, cert.count("BEGIN"), chain.count("BEGIN")) == (WHOLE, 1, WHOLE.count("BEGIN") - 1)


def test_the_cas_own_window_counts_for_this_certificate_only() -> None:
    name = x509.ari_id(x509.chain(WHOLE)[0])
    over = (NOW - timedelta(days=1)).isoformat()
    body = f'{{"suggestedWindow": {{"start": "{over}", "end": "{over}"}}}}'
    assert "order" in commands(looked(answers(WHOLE, ari=f"{name}\n{body}".encode())))
    for other in (f"x.y\n{body}", f"{name}\nnonsense", f"{name}\n" + "[" * 20_000, f"{name}\n{{}}", ""):
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


def test_a_version_that_certbot_brings_during_a_look_makes_no_link_stale(tmp_path: Path) -> None:
    """The links are looked at after the versions, and led to a newer one then."""
    archive, live = (tmp_path / each / NAMES[0] for each in ("archive", "live"))
    lineage = CertbotLineage(str(tmp_path), NAMES[0])
    question = lineage.questions()["versions"]
    assert isinstance(question, CommandQuestion)
    archive.mkdir(parents=True)
    live.mkdir(parents=True)

    def linked(listed: int, leads: int) -> str:
        for name in ("cert", "chain", "fullchain", "privkey"):
            for number in range(1, listed + 1):
                (archive / f"{name}{number}.pem").touch()
            (live / f"{name}.pem").unlink(missing_ok=True)
            (live / f"{name}.pem").symlink_to(f"../../archive/{NAMES[0]}/{name}{leads}.pem")
        run = subprocess.run(["sh", "-c", question.command], capture_output=True, text=True, check=True)
        shown = {**answers(WHOLE), "versions": CommandResult(0, run.stdout.strip())}
        found = versions(shown)
        assert found == list(range(1, listed + 1))
        return lineage.links(shown, found)

    assert linked(3, 3) == "newest"
    assert linked(3, 4) == "newest"
    assert linked(4, 3) == f"cert.pem leads to ../../archive/{NAMES[0]}/cert3.pem; the newest version is 4"


def test_of_a_lineage_of_many_years_the_newest_version_is_seen(tmp_path: Path) -> None:
    kept = tmp_path / "archive" / NAMES[0]
    kept.mkdir(parents=True)
    for number in range(1, 300):
        for name in ("cert", "chain", "fullchain", "privkey"):
            (kept / f"{name}{number}.pem").touch()
    question = CertbotLineage(str(tmp_path), NAMES[0]).questions()["versions"]
    assert isinstance(question, CommandQuestion)
    shown = subprocess.run(["sh", "-c", question.command], capture_output=True, text=True, check=True).stdout
    assert len(shown) < 3000
    assert versions({"versions": CommandResult(0, shown)}) == [295, 296, 297, 298, 299]


@pytest.mark.parametrize(
    ("conf", "why"),
    [
        (b"", "cert is not there"),
        (bytes(200), "line 1 is neither"),
        (CONF + b"half a li", "line 10 is neither `[section]` nor `key = value`"),
        (CONF + b"account = 00ff\n", "line 10: account is there twice"),
        (CONF.replace(b"[renewalparams]\n", b""), "the section [renewalparams] is not there"),
        (CONF.replace(b"/privkey.pem", b"/other.pem"), f"privkey is {LIVE}/other.pem"),
        (CONF + b"\xff", "it is not UTF-8"),
    ],
    ids=["empty", "NULs", "cut off", "a key twice", "no section", "another path", "bytes"],
)
@pytest.mark.parametrize("text", [WHOLE, fullchain(days=(-90, -1))], ids=["good", "to be ordered"])
def test_a_renewal_file_that_certbot_passes_over_is_written_anew_before_an_order(
    conf: bytes, why: str, text: str
) -> None:
    (action,) = looked(answers(text, conf=conf)).actions
    (seen,) = [delta.seen for delta in action.deltas if delta.field == "renewal file"]
    assert str(seen).startswith(why)
    kept, written, *order = [step.command for step in action.steps]
    assert (kept[:3], "install -m 0644 /dev/stdin" in written) == ("cp ", True)
    assert bool(order) == (text != WHOLE)


def test_an_account_that_is_gone_is_registered_again_without_an_order() -> None:
    gone = "/etc/letsencrypt/accounts/ca/dir/00ff/regr.json is missing or incomplete"
    (action,) = looked(answers(WHOLE, account=CommandResult(1, gone))).actions
    assert [(delta.field, delta.seen) for delta in action.deltas] == [("account", gone)]
    aside, register, use = [step.command for step in action.steps]
    assert ("former-" in aside, "certbot register" in register, "account = ${d##*/}" in use) == (
        True,
        True,
        True,
    )
    assert looked(answers(WHOLE, account=CommandResult(77, ""))).actions == ()
    # An order takes an account of its own, once none is in its way.
    (ordering,) = looked(answers(fullchain(days=(-90, -1)), account=CommandResult(1, gone))).actions
    aside, order = [step.command for step in ordering.steps]
    assert ("former-" in aside, "certificate.sh order" in order) == (True, True)


def test_a_curve_that_certbot_leaves_unsaid_is_its_default() -> None:
    def differs(curve: str, said: str = "") -> list[str]:
        resource = lineage(renewal=(("server", "https://ca/dir"), ("elliptic_curve", curve)))
        seen = resource.read(answers(WHOLE, conf=CONF + said.encode()), NOW)
        return [delta.field for action in planned(resource, seen).actions for delta in action.deltas]

    assert differs("secp256r1") == []
    assert differs("secp384r1") == ["renewal: elliptic_curve"]
    assert differs("secp384r1", "elliptic_curve = secp384r1\n") == []
    assert differs("secp256r1", "elliptic_curve = secp384r1\n") == ["renewal: elliptic_curve"]
