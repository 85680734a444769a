"""What CAA sets of the DNS let the CA issue, judged as the renewal script and every look judge it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from reconciler.blueprint import templates

NAME = "cn.example.org"
CA, MINE, OTHER = "letsencrypt.org", "https://ca/acct/1", "https://ca/acct/2"
BOUND = f'0 issue "{CA}; accounturi={MINE}; validationmethods=http-01"'
FUNCTIONS = ("caa", "caa_identities", "caa_accounts", "caa_answers", "caa_asked", "caa_judged")


def shell(command: str, typed: str = "", **settings: str) -> str:
    """What a command says below the functions and these settings."""
    default = {"names": NAME, "folder": "/nowhere", "router": NAME, "challenge": "http-01", "resolver": ""}
    settings = {**default, "ca_bundle": "", **settings}
    script = f"{templates.functions('caa.sh', FUNCTIONS, settings)}\n{command}"
    return subprocess.run(
        ["sh", "-uc", script], input=typed, text=True, capture_output=True, check=True
    ).stdout


def answer(domain: str, records: Sequence[str] | str) -> str:
    """What dig says of one domain: records, or another status than NOERROR ("" for no answer)."""
    if records == "":
        return ";; communications error to 192.0.2.1#53: timed out\n;; no servers could be reached\n"
    status, lines = (records, ()) if isinstance(records, str) else ("NOERROR", records)
    return "\n".join(
        [
            f";; ->>HEADER<<- opcode: QUERY, status: {status}, id: 7",
            ";; QUESTION SECTION:",
            f";{domain}.\t\t\tIN\tCAA",
            *(f"{domain}.\t300\tIN\tCAA\t{each}" for each in lines),
            "",
        ]
    )


def judge(
    dns: Mapping[str, Sequence[str] | str],
    *,
    identities: str = CA,
    accounts: str = MINE,
    names: str = NAME,
    challenge: str = "http-01",
) -> list[str]:
    """The verdicts and their words, a line for each name; domains that are not in `dns` have no record."""
    domains = [name.removeprefix("*.") for name in names.split()]
    parents = {name.split(".", n)[-1] for name in domains for n in range(name.count(".") + 1)}
    typed = "".join(answer(domain, dns.get(domain, ())) for domain in sorted(parents))
    return shell(
        f"caa_judged '{identities}' '{accounts}'", typed, names=names, challenge=challenge
    ).splitlines()


def one(*records: str, identities: str = CA, accounts: str = MINE) -> tuple[str, str]:
    """The verdict and its words for a set at the name itself."""
    (line,) = judge({NAME: records}, identities=identities, accounts=accounts)
    word, _, rest = line.partition(" ")
    return word, rest


@pytest.mark.parametrize(
    ("records", "verdict"),
    [
        ((BOUND,), "bound"),
        ((f'0 issue "{CA};validationmethods=http-01;accounturi={MINE}"',), "bound"),
        ((f'128 ISSUE "  {CA} ;\taccounturi = {MINE} ; validationmethods = dns-01,http-01  "',), "bound"),
        ((f'0 issue "{CA}; accounturi={MINE}; validationmethods=http-01; policy=ev"',), "bound"),
        ((BOUND, '0 iodef "mailto:a@example.org"', '0 future "x"'), "bound"),
        ((BOUND, '0 issue "other.example"'), "bound"),
        ((BOUND, f'0 issue "{CA}; accounturi={OTHER}; validationmethods=dns-01"'), "bound"),
        ((BOUND, '0 issuewild ";"'), "bound"),
        ((BOUND, f'0 issue "{CA}"'), "open"),
        ((BOUND, f'0 issue "{CA}; validationmethods=dns-01"'), "open"),
        ((f'0 issue "{CA}"',), "open"),
        ((f'0 issue "{CA};"',), "open"),
        ((f'0 issue "{CA}; accounturi={MINE}"',), "open"),
        ((f'0 issue "{CA}; validationmethods=http-01"',), "open"),
        ((f'0 issue "{CA}; AccountURI={OTHER}; validationmethods=http-01"',), "open"),
        (('0 issuewild ";"',), "open"),
        (('0 iodef "mailto:a@example.org"',), "open"),
        (('0 issue ";"',), "forbidden"),
        (('0 issue ""',), "forbidden"),
        (('0 issue "other.example"', '0 issue "third.example"'), "forbidden"),
        ((f'0 issue "x{CA}"',), "forbidden"),
        ((f'0 issue "{CA.upper()}"',), "forbidden"),
        ((f'0 issue "{CA}; accounturi={OTHER}"',), "forbidden"),
        ((f'0 issue "{CA}; accounturi={MINE}0"',), "forbidden"),
        ((f'0 issue "{CA}; accounturi={MINE}; accounturi={MINE}"',), "forbidden"),
        ((f'0 issue "{CA}; validationmethods=dns-01"',), "forbidden"),
        ((f'0 issue "{CA}; validationmethods=HTTP-01"',), "forbidden"),
        ((f'0 issue "{CA}; validationmethods="',), "forbidden"),
        ((f'0 issue "{CA}; validationmethods=d!,http-01"',), "forbidden"),
        ((f'0 issue "{CA}; accounturi={MINE};"',), "forbidden"),
        ((f'0 issue "{CA} accounturi={MINE}"',), "forbidden"),
        ((f'0 issue "{CA}; accounturi"',), "forbidden"),
        ((f'0 issue "{CA}; accounturi={MINE} x"',), "forbidden"),
        ((f'0 issue "{CA}; x=\\195\\164"',), "forbidden"),
        ((BOUND, '128 future "x"'), "forbidden"),
        ((BOUND, '1 future "x"'), "forbidden"),
    ],
)  # fmt: skip
def test_a_set_is_judged_as_the_ca_judges_it(records: tuple[str, ...], verdict: str) -> None:
    assert one(*records)[0] == verdict, one(*records)


@pytest.mark.parametrize(
    ("records", "words"),
    [
        ((BOUND, '0 issue "other.example"'), "binds this account and http-01; it lets other CAs issue as well: other.example"),
        ((f'0 issue "{CA}"',), "allows this order, but any account of the CA, any method"),
        (('0 issue ";"',), "allows no CA"),
        (('0 issue "other.example"',), "allows only what this order is not: another CA: other.example"),
        ((f'0 issue "{CA}; accounturi={OTHER}"',), f"allows only what this order is not: another account: {OTHER}"),
        ((f'0 issue "{CA}; validationmethods=dns-01"',), "allows only what this order is not: other methods: dns-01"),
        (('128 future "x"',), "has a critical property that no CA knows: future"),
        ((f'0 issue "{CA}; x"',), f'allows only what this order is not: "{CA}; x" is malformed'),
    ],
)  # fmt: skip
def test_why_is_told(records: tuple[str, ...], words: str) -> None:
    assert one(*records)[1] == f"{NAME} the CAA set of {NAME} {words}"


@pytest.mark.parametrize(
    ("dns", "told"),
    [
        ({}, f"none {NAME} there is no CAA record: any CA may issue"),
        ({NAME: "NXDOMAIN", "example.org": [BOUND]}, f"bound {NAME} the CAA set of example.org binds"),
        ({"org": [BOUND]}, f"bound {NAME} the CAA set of org binds"),
        ({NAME: [BOUND], "example.org": ['0 issue ";"']}, f"bound {NAME} the CAA set of {NAME} binds"),
        # What is above the set that counts tells nothing; what is below may hide one that does.
        ({NAME: [BOUND], "example.org": "SERVFAIL"}, f"bound {NAME} the CAA set of {NAME} binds"),
        ({NAME: "SERVFAIL", "example.org": [BOUND]},
         f"untold {NAME} the DNS answers SERVFAIL for the CAA records of {NAME}, and on that the CA refuses"),
        ({"example.org": ""},
         f"untold {NAME} the DNS does not answer for the CAA records of example.org, and on that the CA refuses"),
        ({"org": "REFUSED"},
         f"untold {NAME} the DNS answers REFUSED for the CAA records of org, and on that the CA refuses"),
    ],
)  # fmt: skip
def test_the_closest_set_counts_and_what_cannot_be_asked_is_no_permission(
    dns: Mapping[str, Sequence[str] | str], told: str
) -> None:
    (line,) = judge(dns)
    assert line.startswith(told)


@pytest.mark.parametrize(
    ("records", "name", "wildcard"),
    [
        (['0 issue ";"', f'0 issuewild "{CA}"'], "forbidden", "open"),
        ([f'0 issue "{CA}"', '0 issuewild ";"'], "open", "forbidden"),
        ([f'0 issue "{CA}"'], "open", "open"),
        (['0 issuewild ";"'], "open", "forbidden"),
        ([f'0 IssueWild "{CA}; accounturi={MINE}; validationmethods=dns-01"'], "open", "bound"),
    ],
)
def test_a_wildcard_is_judged_by_what_is_said_of_wildcards(
    records: list[str], name: str, wildcard: str
) -> None:
    found = judge({"example.org": records}, names="example.org *.example.org", challenge="dns-01")
    assert [line.split()[:2] for line in found] == [[name, "example.org"], [wildcard, "*.example.org"]]


def test_an_order_by_a_record_in_the_dns_is_bound_to_that() -> None:
    for method, verdict in (("dns-01", "bound"), ("http-01", "forbidden")):
        record = f'0 issue "{CA}; accounturi={MINE}; validationmethods={method}"'
        (line,) = judge({NAME: [record]}, challenge="dns-01")
        assert line.split()[0] == verdict, line


def test_each_domain_is_asked_about_once_and_the_answers_come_in_order() -> None:
    dig = 'dig() { shift 6; [ "$1" != z.org. ] || sleep 0.2; for each; do echo "$each"; done; }'
    asked = shell(f"{dig}\ncaa_answers", names="z.org *.a.z.org b.c.d.net d.net").split()
    assert asked[1::2] == ["CAA"] * 7
    assert asked[::2] == ["z.org.", "org.", "a.z.org.", "b.c.d.net.", "c.d.net.", "d.net.", "net."]


def test_what_no_server_answers_is_told_of_that_domain_alone() -> None:
    silent = answer(f"a.{NAME}", "") + answer(NAME, "REFUSED") + answer("example.net", [BOUND])
    found = shell(f"caa_judged {CA} {MINE}", silent, names=f"a.{NAME} {NAME} example.net").splitlines()
    assert [line.split(" CAA ")[0] for line in found] == [
        f"untold a.{NAME} the DNS does not answer for the", f"untold {NAME} the DNS answers REFUSED for the",
        "bound example.net the",
    ]  # fmt: skip


def test_each_name_has_its_own_verdict_and_a_link_is_followed() -> None:
    names = f"{NAME} a.example.net"
    linked = (
        f";; status: NOERROR, id: 7\n;{NAME}. IN CAA\n"
        f"{NAME}. 9 IN CNAME b.example.\nb.example. 9 IN CAA {BOUND}\n"
    )
    typed = linked + answer("a.example.net", ['0 issue ";"'])
    verdicts = shell(f"caa_judged {CA} {MINE}", typed, names=names).splitlines()
    assert [line.split()[:2] for line in verdicts] == [["bound", NAME], ["forbidden", "a.example.net"]]


@pytest.mark.parametrize(
    ("records", "identities", "accounts", "verdict"),
    [
        ((BOUND,), f"a.example,{CA}", f"{OTHER},{MINE}", "bound"),
        ((BOUND,), CA, "-", "forbidden"),
        ((f'0 issue "{CA}"',), CA, "-", "open"),
        ((BOUND,), CA, "?", "untold"),
        ((f'0 issue "{CA}"',), CA, "?", "open"),
        # A CA that does not say its name is known by our account there.
        ((BOUND,), "?", MINE, "bound"),
        ((f'0 issue "{CA}; accounturi={MINE}"',), "?", MINE, "open"),
        ((f'0 issue "{CA}"',), "?", MINE, "untold"),
        ((f'0 issue "{CA}; accounturi={OTHER}"',), "?", MINE, "forbidden"),
        (('0 issue ";"',), "?", MINE, "forbidden"),
        ((f'0 issue "{CA}; accounturi=https://acme-v01.api.letsencrypt.org/acme/reg/5; validationmethods=http-01"',),
         CA, "https://acme-v02.api.letsencrypt.org/acme/acct/5", "bound"),
    ],
)  # fmt: skip
def test_what_is_known_of_the_ca_and_the_account_decides(
    records: tuple[str, ...], identities: str, accounts: str, verdict: str
) -> None:
    assert one(*records, identities=identities, accounts=accounts)[0] == verdict


def test_the_account_is_the_one_that_certbot_renews_with(tmp_path: Path) -> None:
    def account(identity: str, uri: str) -> None:
        folder = tmp_path / "accounts/acme-v02.api.letsencrypt.org/directory" / identity
        folder.mkdir(parents=True)
        (folder / "regr.json").write_text(json.dumps({"body": {}, "uri": uri}), encoding="utf-8")

    server = "https://acme-v02.api.letsencrypt.org/directory"
    ask = f"caa_identities {server}; caa_accounts {server}"
    assert shell(ask, folder=str(tmp_path)) == "letsencrypt.org\n-\n"
    account("ab", MINE)
    assert shell(ask, folder=str(tmp_path)) == f"letsencrypt.org\n{MINE}\n"
    account("cd", OTHER)
    assert shell(ask, folder=str(tmp_path)) == f"letsencrypt.org\n{MINE},{OTHER}\n"
    (tmp_path / "renewal").mkdir()
    (tmp_path / f"renewal/{NAME}.conf").write_text("[renewalparams]\naccount = cd\n", encoding="utf-8")
    assert shell(ask, folder=str(tmp_path)) == f"letsencrypt.org\n{OTHER}\n"


def test_a_ca_says_by_which_names_records_mean_it(tmp_path: Path) -> None:
    directory = tmp_path / "directory"
    directory.write_text(
        '{"newOrder": "https://ca/o",\n "meta": {"caaIdentities": [\n "a.example", "b.example" ],'
        ' "website": "https://ca/"}}',
        encoding="utf-8",
    )
    assert shell(f"caa_identities file://{directory}") == "a.example,b.example\n"
    directory.write_text('{"meta": {}}', encoding="utf-8")
    assert shell(f"caa_identities file://{directory}") == "?\n"


def asked(function: str, *told: str) -> tuple[int, str]:
    """How a function of the renewal script ends, and what it says, where `caa` tells this."""
    settings = {"server": "https://ca/dir", "rehearsal": "https://rehearsal/dir"}
    script = templates.functions("certificate.sh", ("say", function), settings)
    lines = "\n".join(["ours a.example -", *told])
    ended = subprocess.run(
        ["sh", "-uc", f"{script}\ncaa() {{ cat; }}\n{function}"], input=f"{lines}\n", text=True,
        capture_output=True, check=False,
    )  # fmt: skip
    return ended.returncode, ended.stderr


def test_an_order_is_refused_where_a_set_forbids_it_and_goes_on_where_that_cannot_be_told() -> None:
    assert asked("allowed", "bound a x", "open b x", "none c x") == (0, "")
    assert asked("allowed", "bound a x", "untold b SERVFAIL") == (0, "warning: b: SERVFAIL\n")
    status, said = asked("allowed", "bound a x", "forbidden b it is not ours")
    assert (status, said.splitlines()[1:]) == (1, ["  b: it is not ours"])
    assert "[caa-forbids]" in said


def test_a_rehearsal_is_left_out_where_a_set_does_not_let_its_account_in() -> None:
    assert asked("may_rehearse", "bound a x", "none b x", "untold c x") == (0, "")
    status, said = asked("may_rehearse", "bound a x", "forbidden b it is not ours")
    assert (status, said.splitlines()[1:]) == (1, ["  b: it is not ours"])
    assert said.startswith("the rehearsal at https://rehearsal/dir is left out")
