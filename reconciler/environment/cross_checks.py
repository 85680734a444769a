"""What a schema cannot say of an environment file: two primaries, a name twice, a schedule that
is too slow."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from reconciler.environment.authority_checks import check_authorities
from reconciler.environment.both_keys_checks import check_both_keys
from reconciler.environment.brought import CLIENT
from reconciler.environment.certificate import Certificate
from reconciler.environment.compromised_checks import check_compromised
from reconciler.environment.ordered import is_ordered
from reconciler.environment.ordered_checks import NO_HOOK, check_ordered, too_slow
from reconciler.environment.profiles import days_of
from reconciler.environment.rules import CERTIFICATE_NAME, CLASSES
from reconciler.environment.schema_errors import nearest
from reconciler.environment.settings import PRIMARY, REPLICAS, Paths, Sync
from reconciler.environment.yaml_reader import Path, Placed, Problem
from reconciler.kinds import KINDS
from reconciler.plan.order import is_below
from reconciler.unknowns import UNKNOWN_PREFIX

DNS_NAME = re.compile(CERTIFICATE_NAME["pattern"])
OWN = re.compile(r"apache2|postgresql(@.*)?|tomcat[0-9]+|ssh|cron")
"""Units of a coordinating node, which the blueprint declares with more than a consumer can say."""


def cross_check(placed: Placed) -> list[Problem]:
    """Every problem of this kind; a value of a wrong type is left to the schema."""
    cross = _Cross(placed)
    cross.check()
    more = (check_ordered, check_authorities, check_compromised, check_both_keys)
    return [*cross.problems, *(problem for check in more for problem in check(placed))]


def _is_timezone(name: str) -> bool:
    from zoneinfo import available_timezones  # noqa: PLC0415 - few files name one

    return name in available_timezones()


class _Cross:
    def __init__(self, placed: Placed) -> None:
        self._placed = placed
        self.problems: list[Problem] = []
        value = placed.value if isinstance(placed.value, dict) else {}
        self._value: Mapping[str, Any] = value
        self._hosts = self._named("hosts")
        self._retired = self._named("retired")

    def _named(self, key: str) -> list[tuple[int, dict[str, Any]]]:
        items = self._value.get(key)
        if not isinstance(items, list):
            return []
        return [
            (number, each)
            for number, each in enumerate(items)
            if isinstance(each, dict) and isinstance(each.get("name"), str)
        ]

    def _problem(self, path: Path, message: str) -> None:
        self.problems.append(Problem(self._placed.place(path), message))

    def check(self) -> None:
        self._check_primary()
        self._check_names()
        self._check_groups()
        self._check_sites()
        self._check_schedule()
        self._check_key()
        self._check_challenge()
        self._check_sync_account()
        self._check_paths()
        self._check_reserved((), self._value)
        for key in ("certificates", "consumers", "resources"):
            self._check_hosts_of(key)
        self._check_consumers()
        self._check_brought()
        self._check_policy()
        self._check_acknowledged()

    def _check_policy(self) -> None:
        policy = self._section("policy")
        approvers = policy.get("approvers")
        if isinstance(approvers, int) and approvers > 0 and "allowed_signers" not in policy:
            self._problem(
                ("policy", "approvers"),
                "who may approve is not said: name a file with `allowed_signers:`",
            )
        classes = policy.get("without_approval")
        known = {*CLASSES, *KINDS}
        for number, name in enumerate(classes if isinstance(classes, list) else ()):
            if name not in known:
                self._problem(
                    ("policy", "without_approval", number),
                    f"{name!r} is no kind of change (known: {', '.join(sorted(known))})",
                )
        zone = policy.get("timezone")
        if isinstance(zone, str) and not _is_timezone(zone):
            self._problem(
                ("policy", "timezone"), f"there is no time zone {zone!r}; they are called like Europe/Berlin"
            )

    def _check_acknowledged(self) -> None:
        known = {host["name"] for _, host in (*self._hosts, *self._retired)}
        items = self._value.get("acknowledged")
        for number, item in enumerate(items if isinstance(items, list) else ()):
            if not isinstance(item, dict):
                continue
            host, until = item.get("host"), item.get("until")
            if isinstance(host, str) and host not in known:
                self._problem(
                    ("acknowledged", number, "host"),
                    f"there is no host {host} (known: {', '.join(sorted(known))})",
                )
            if isinstance(until, str):
                try:
                    date.fromisoformat(until)
                except ValueError:
                    self._problem(("acknowledged", number, "until"), f"there is no day {until}")

    def _check_primary(self) -> None:
        marked = [number for number, host in self._hosts if host.get("primary") is True]
        for number in marked[1:]:
            first = self._placed.place(("hosts", marked[0], "primary")).line
            self._problem(
                ("hosts", number, "primary"),
                f"a second primary; one host is the primary, and line {first} has named it",
            )
        if not marked and len(self._hosts) > 1 and self._value.get("blueprint") is not False:
            self._problem(("hosts",), "no primary: mark the host on which certbot runs with `primary: true`")

    def _check_key(self) -> None:
        certificate = self._section("certificate")
        kind = certificate.get("key_type")
        if not isinstance(kind, str) or not kind.startswith("ecdsa-"):
            return
        if self._section("services").get("portal") is True:
            self._problem(
                ("certificate", "key_type"),
                f"{kind}, and `services: portal` is true: the portal signs its tokens with the"
                " certificate's key, and can do that with an RSA key only",
            )
        if "key_size" in certificate:
            self._problem(
                ("certificate", "key_size"),
                f"it says how many bits an RSA key has, and `key_type` is {kind}: leave one of them out",
            )

    def _check_challenge(self) -> None:
        certificate = self._section("certificate")
        if certificate.get("challenge") == "dns-01":
            if "dns_hook" not in certificate:
                self._problem(("certificate", "challenge"), NO_HOOK)
            if "challenge_at" in certificate:
                why = "it is for `challenge: http-01`, which is not declared here"
                self._problem(("certificate", "challenge_at"), why)
            return
        for key in ("dns_hook", "dns_wait"):
            if key in certificate:
                self._problem(
                    ("certificate", key), "it is for `challenge: dns-01`, which is not declared here"
                )
        names = certificate.get("names")
        for number, name in enumerate(names if isinstance(names, list) else ()):
            if isinstance(name, str) and name.startswith("*."):
                self._problem(
                    ("certificate", "names", number),
                    f"{name} is a wildcard: CAs issue those by `challenge: dns-01` only",
                )

    def _check_sync_account(self) -> None:
        account = self._section("sync").get("account", Sync.account)
        logins: dict[str, Path] = {"root": ("ssh", "user")}
        said: list[tuple[Any, Path]] = [(self._section("ssh"), ("ssh",))]
        for key, hosts in (("hosts", self._hosts), ("retired", self._retired)):
            said += [(host.get("ssh"), (key, number, "ssh")) for number, host in hosts]
        for section, path in said:
            if isinstance(section, dict) and isinstance(section.get("user"), str):
                logins.setdefault(section["user"], (*path, "user"))
        if self._value.get("blueprint") is False or account not in list(logins):
            return
        path = ("sync", "account") if "account" in self._section("sync") else logins[str(account)]
        self._problem(
            path,
            f"{account} cannot be the sync account, whose keys open nothing but one program and which is"
            " denied sudo: nobody could log in with it any more; name an account for that alone",
        )

    def _check_names(self) -> None:
        first: dict[str, Path] = {}
        for key, hosts in (("hosts", self._hosts), ("retired", self._retired)):
            for number, host in hosts:
                path: Path = (key, number, "name")
                name = host["name"].lower()
                if name in first:
                    line = self._placed.place(first[name]).line
                    what = "retired and not retired" if first[name][0] != key else "twice"
                    self._problem(path, f"the host {host['name']} is here {what}; see line {line}")
                first.setdefault(name, path)
        names = self._section("certificate").get("names")
        router = self._value.get("router")
        taken = {name: self._placed.place(path) for name, path in first.items() if path[0] == "hosts"}
        if isinstance(router, str):
            taken.setdefault(router.lower(), self._placed.place(("router",)))
        for number, name in enumerate(names if isinstance(names, list) else ()):
            if isinstance(name, str):
                path = ("certificate", "names", number)
                if name.lower() in taken:
                    line = taken[name.lower()].line
                    self._problem(path, f"the certificate has the name {name} already, from line {line}")
                taken.setdefault(name.lower(), self._placed.place(path))

    def _section(self, name: str) -> Mapping[str, Any]:
        section = self._value.get(name)
        return section if isinstance(section, dict) else {}

    def _check_schedule(self) -> None:
        """It comes round often enough for the lifetime: see `too_slow`."""
        section = self._section("certificate")
        schedule, lifetime = section.get("schedule"), section.get("lifetime", Certificate.lifetime)
        if not isinstance(schedule, str) or not isinstance(lifetime, int):
            return
        if why := too_slow(schedule, days_of(section.get("profile"), lifetime)):
            self._problem(("certificate", "schedule"), why)

    def _check_paths(self) -> None:
        section = self._section("paths")
        served, certbots = section.get("certificate"), section.get("letsencrypt", Paths.letsencrypt)
        if isinstance(served, str) and isinstance(certbots, str) and is_below(served, certbots):
            self._problem(
                ("paths", "certificate"),
                f"services cannot read from certbot's own folder {certbots}: its next run would undo a"
                " rollback; give certbot another one with `letsencrypt:`, such as /var/lib/certbot",
            )

    def _check_groups(self) -> None:
        """A word means a host or a group, on the command line too."""
        names = {host["name"] for _, host in (*self._hosts, *self._retired)}
        short = {name.partition(".")[0]: name for name in sorted(names)}
        for number, group in self._groups:
            meant = "a group of every environment" if group in (PRIMARY, REPLICAS) else short.get(group)
            if meant or group in names:
                self._problem(("hosts", number, "groups"), f"{group} is {meant or 'a host'} already")

    def _check_sites(self) -> None:
        sites = self._section("sites")
        known = {host["name"] for _, host in (*self._hosts, *self._retired)}
        known |= {PRIMARY, REPLICAS, *(group for _, group in self._groups)}
        for name, each in sites.items():
            if name in known:
                self._problem(("sites", name), f"{name} is a host or a group already")
            if isinstance(each, dict) and ("gateway" in each) != ("file" in each):
                self._problem(("sites", name), "`gateway` and `file` go together: its own copy of this file")
            if isinstance(each, dict) and not ("gateway" in each or self._section("nats")):
                self._problem(
                    ("sites", name), "it has no `gateway`; without one it needs `nats:` and a worker"
                )
        for key, hosts in (("hosts", self._hosts), ("retired", self._retired)):
            for number, host in hosts:
                if isinstance(site := host.get("site"), str) and site not in sites:
                    declared = ", ".join(sorted(sites)) or "none"
                    self._problem(
                        (key, number, "site"), f"there is no site {site} under `sites:` (there: {declared})"
                    )

    @property
    def _groups(self) -> Iterable[tuple[int, str]]:
        for number, host in self._hosts:
            groups = host.get("groups")
            for each in groups if isinstance(groups, list) else ():
                if isinstance(each, str):
                    yield number, each

    def _check_reserved(self, path: Path, value: Any) -> None:
        if isinstance(value, dict):
            for key, each in value.items():
                self._check_reserved((*path, key), each)
        elif isinstance(value, list):
            for number, each in enumerate(value):
                self._check_reserved((*path, number), each)
        elif isinstance(value, str) and UNKNOWN_PREFIX in value:
            self._problem(
                path, f"the text `{UNKNOWN_PREFIX}` is reserved: a plan says so where it does not know"
            )

    def _check_consumers(self) -> None:
        items = self._value.get("consumers")
        for number, item in enumerate(items if isinstance(items, list) else ()):
            path: Path = ("consumers", number)
            no_node = self._value.get("blueprint") is False
            uses_own = not isinstance(item, dict) or "certificate" not in item
            if uses_own and (no_node or self._section("certificate").get("manage") is False):
                self._problem(path, "it uses the certificate, and none is managed here")
            if isinstance(item, dict) and isinstance(item.get("unit"), str):
                unit = item["unit"].removesuffix(".service")
                if OWN.fullmatch(unit) and not no_node:
                    self._problem(
                        path,
                        f"{unit} is one of the node's own services: see `services:`, and its switches",
                    )

    def _check_brought(self) -> None:
        """Each has a name of its own, and what serves one is where it is, and may read its key."""
        known: dict[str, tuple[int, dict[str, Any]]] = {}
        for number, item in self._named("certificates"):
            if item["name"] in known:
                line = self._placed.place(("certificates", known[item["name"]][0])).line
                self._problem(
                    ("certificates", number, "name"), f"{item['name']} is here twice; see line {line}"
                )
            known.setdefault(item["name"], (number, item))
            names = item.get("names") if item.get("purpose") != CLIENT else None
            for index, name in enumerate(names if isinstance(names, list) else ()):
                if isinstance(name, str) and not DNS_NAME.fullmatch(name):
                    self._problem(
                        ("certificates", number, "names", index),
                        f"{name} is no DNS name, and clients look for a server's names among those alone",
                    )
        items = self._value.get("consumers")
        for number, item in enumerate(items if isinstance(items, list) else ()):
            name = item.get("certificate") if isinstance(item, dict) else None
            path: Path = ("consumers", number, "certificate")
            if isinstance(name, str) and name in known:
                self._check_consumer_of(known[name][1], item, number)
            elif isinstance(name, str):
                there = f"{nearest(name, known)} (known: {', '.join(sorted(known)) or 'none'})"
                self._problem(path, f"there is no certificate {name} in `certificates`{there}")

    def _check_consumer_of(self, entry: Mapping[str, Any], item: Mapping[str, Any], number: int) -> None:
        path: Path = ("consumers", number, "certificate")
        name, there = entry["name"], self._members(entry.get("hosts"))
        if is_ordered(entry):
            there |= self._members([PRIMARY])
        if lacking := self._members(item.get("hosts")) - there:
            self._problem(
                path, f"the certificate {name} is not on {', '.join(sorted(lacking))}; see its `hosts`"
            )
        if not is_ordered(entry):
            self._check_consumer_of_brought(entry, item, number)

    def _check_consumer_of_brought(
        self, brought: Mapping[str, Any], item: Mapping[str, Any], number: int
    ) -> None:
        path: Path = ("consumers", number, "certificate")
        name = brought["name"]
        if brought.get("purpose") == CLIENT:
            self._problem(path, f"the certificate {name} is a client's: no port serves it")
        if "form" in item:
            self._problem(
                ("consumers", number, "form"),
                f"forms are made of certificates that are ordered: have {name} brought in that form",
            )
        user = item.get("user")
        if isinstance(user, str) and user != brought.get("owner") and "group" not in brought:
            self._problem(
                ("consumers", number, "user"),
                f"how {user} comes to read the key is not said: give the certificate {name} a `group`,"
                f" or `owner: {user}`",
            )

    def _members(self, named: Any) -> set[str]:
        """The hosts that `hosts:` of something names; all where there is none."""
        called = {}
        for _, host in self._hosts:
            is_primary = host.get("primary") is True or len(self._hosts) == 1
            called[host["name"]] = {host["name"], PRIMARY if is_primary else REPLICAS}
        for number, group in self._groups:
            called[self._value["hosts"][number]["name"]].add(group)
        if not isinstance(named, list):
            return set(called)
        return {name for name, words in called.items() if not words.isdisjoint(map(str, named))}

    def _check_hosts_of(self, key: str) -> None:
        known = {host["name"] for _, host in self._hosts} | {PRIMARY, REPLICAS}
        known |= {group for _, group in self._groups} | self._section("sites").keys()
        there = ", ".join(sorted(known))
        items = self._value.get(key)
        for number, item in enumerate(items if isinstance(items, list) else ()):
            hosts = item.get("hosts") if isinstance(item, dict) else None
            for index, name in enumerate(hosts if isinstance(hosts, list) else ()):
                if name not in known:
                    path: Path = (key, number, "hosts", index)
                    self._problem(path, f"there is no host or group {name} (known: {there})")
