"""The kinds about the folders that hold a certificate: `delivery`, `release`, `current`.

Below `/var/lib/reconciler/certificate` every host has `releases/DATE-ID/`, each written once, and
three links: `staged` to the release that was staged last, `current` to the one that services
read, `proven` to the last one that all services were seen to serve.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from reconciler.kinds.certificate import pair
from reconciler.kinds.certificate.pair import GROUP, Trust
from reconciler.kinds.certificate.renewals import concerns_renewals
from reconciler.kinds.certificate.store import INCOMING, OWN, Store
from reconciler.kinds.paths import move_aside, ownership, type_of, unseen
from reconciler.kinds.ssh_access import client
from reconciler.model import (
    Action,
    CannotSee,
    Change,
    Delta,
    Question,
    Ref,
    Resource,
    Seen,
    State,
    Step,
    View,
    quote,
)
from reconciler.questions.files import AclQuestion, FileEntry, StatQuestion
from reconciler.questions.system import CommandQuestion, CommandResult
from reconciler.subjects import Subject

LOADABLE = "a pair that services can load"

WRONG_MODE = "privkey.pem is "
"""How what is wrong with the ownership of a key is told, before that."""

KEY_FILE = f"root:{GROUP} 0640"
"""The one ownership that Apache, PostgreSQL and Tomcat all accept: PostgreSQL wants root's key to be
0640 or less (PostgreSQL's documentation, "Secure TCP/IP Connections with SSL")."""


@dataclass(frozen=True, kw_only=True)
class Delivery(Resource):
    """The primary has delivered the staged pair to a replica, through the sync account.

    Whether it has arrived is observed on the replica. Root signs it here and encrypts it to root over
    there; the sync account carries it, and can neither read nor replace it.
    """

    kind: ClassVar[str] = "delivery"
    title: ClassVar[str] = "peer"
    subject: ClassVar[str] = Subject.DISTRIBUTION
    declarable: ClassVar[bool] = False
    renews: ClassVar[bool] = True
    depends: ClassVar[bool] = True
    observed_on_peers: ClassVar[bool] = True

    peer: str
    lineage: Ref
    arrival: Ref
    account: str
    identity: str
    known_hosts: str
    port: int
    store: Store = OWN

    @property
    def name(self) -> str:
        return f"{self.peer} {self.store.name}".strip()

    def ask(self) -> Mapping[str, Question]:
        return {}

    def read(self, answers: Mapping[str, Any], now: datetime) -> Seen:
        return {}

    def want(self, look: View) -> State | None:
        release = look.value(self.lineage, "release")
        over_there = [look.value(self.arrival, name) for name in ("arrived", "staged")]
        if isinstance(release, CannotSee) or release in over_there:
            return {}
        if all(isinstance(each, CannotSee) for each in over_there):
            return {}
        return {"delivered": release}

    def steps(self, change: Change) -> Iterable[Step]:
        ssh = client(self.identity, self.port, 10, self.known_hosts)
        folder = f"{self.store.folder}/outgoing/{self.peer}"
        yield Step(
            self.store.run("seal", self.peer), "signs the pair, and encrypts it to root on the replica"
        )
        yield Step(
            f"runuser -u {quote(self.account)} -- rsync -tc --timeout=60 --chmod=F600 -e {quote(ssh)}"
            f" -- {quote(f'{folder}/{self.store.sealed}')}"
            f" {quote(f'{self.account}@{self.peer}:{INCOMING}/')}",
            "delivers it to the replica, whose wrapper accepts nothing else",
        )
        yield Step(f"rm -r -- {quote(folder)}", "it was delivered")

    def refers(self) -> Iterable[Ref]:
        return (self.lineage, self.arrival)

    def held_by(self, other: Ref, action: Action, pending: Action | None) -> bool:
        return other != self.lineage or not concerns_renewals(pending)


@dataclass(frozen=True, kw_only=True)
class Release(Resource):
    """The desired pair, staged on a host: complete, checked, readable by each service's account,
    and not in use yet.

    On the primary it is copied from certbot's folder, whose links are neither replaced at once nor
    safe to move back; elsewhere from what was delivered, if root there has signed it; that is read as
    the sync account, so that root follows no link in a folder of that account.
    """

    kind: ClassVar[str] = "release"
    title: ClassVar[str] = "router"
    subject: ClassVar[str] = Subject.DISTRIBUTION
    declarable: ClassVar[bool] = False
    renews: ClassVar[bool] = True
    depends: ClassVar[bool] = True

    router: str
    lineage: Ref
    trust: Trust
    users: tuple[str, ...] = ()
    """Accounts whose services read the key."""
    source: str
    account: str | None = None
    """Who reads `source`: the sync account; None on the primary, where root does."""
    sender: str | None = None
    """Whose delivery it is that `account` reads."""
    store: Store = OWN

    def ask(self) -> Mapping[str, Question]:
        staged = f"{self.store.folder}/staged"
        return {
            **pair.questions(staged),
            "key": StatQuestion(f"{staged}/privkey.pem"),
            "acl": AclQuestion(f"{staged}/privkey.pem"),
            "parts": CommandQuestion(self.store.parts),
            **pair.readable_by(self.users, f"{staged}/privkey.pem"),
        }

    def read(self, answers: Mapping[str, Any], now: datetime) -> Seen:
        state = pair.facts(answers, self.trust, now)
        if isinstance(state, CannotSee):
            return state
        if state["release"] == "none":
            return None
        entry: FileEntry | None | CannotSee = answers["key"]
        if entry is None or isinstance(entry, CannotSee):
            return {**state, "key file": "none"} if entry is None else entry
        # With an ACL the group's bits of the mode are its mask (acl(5)), which does not show who may read.
        acl = answers["acl"]
        named = isinstance(acl, dict) and any(not entry.endswith(":") for entry in acl)
        state["key file"] = _mode(entry) + (" and an ACL" if named else "")
        whole = are_whole(answers["parts"])
        readable = {user: pair.is_readable(answers[f"readable by {user}"]) for user in self.users}
        if hidden := unseen(acl, whole, *readable.values()):
            return hidden
        state["parts"] = "whole" if whole else "cert.pem and chain.pem are not fullchain.pem"
        state |= {f"readable by {user}": result is True for user, result in readable.items()}
        return state

    def want(self, look: View) -> State | None:
        release = look.value(self.lineage, "release")
        if isinstance(release, CannotSee):
            # Which release is desired is not known; what is there is kept.
            return {}
        return {
            "release": release,
            **pair.wanted(self.trust),
            "key file": KEY_FILE,
            "parts": "whole",
            **{f"readable by {user}": True for user in self.users},
        }

    def diff_text(self, delta: Delta, seen: State | None) -> str | None:
        return pair.names_text(delta.seen, delta.want) if delta.field == "names" and seen else None

    def steps(self, change: Change) -> Iterable[Step]:
        release = str((change.want or {}).get("release"))
        # If only its permissions are wrong, the staged copy is its own source.
        intact = all(field == "key file" or field.startswith("readable by ") for field in change.deltas)
        if intact and not change.creates:
            source: tuple[str, ...] = (f"{self.store.folder}/staged",)
        else:
            source = tuple(each for each in (self.source, self.account, self.sender) if each)
        yield Step(
            self.store.run("stage", release, *source),
            "copies the pair into a new folder; no service reads it yet",
        )

    def provides(self) -> Iterable[str]:
        return (f"path:{self.store.folder}/staged",)

    def refers(self) -> Iterable[Ref]:
        return (self.lineage,)

    def held_by(self, other: Ref, action: Action, pending: Action | None) -> bool:
        return other != self.lineage or not concerns_renewals(pending)


def _mode(entry: FileEntry | None) -> str:
    owned = ownership(entry) if entry else None
    return f"{owned['owner']}:{owned['group']} {owned['mode']}" if owned else "none"


def are_whole(result: CommandResult | CannotSee) -> bool | CannotSee:
    """The answer to `Store.parts`. cmp(1) ends with 1 where files differ and 2 where one cannot be read; what
    cat cannot read it does not get."""
    if isinstance(result, CannotSee):
        return result
    complaint = next((line for line in result.output.splitlines() if ": " in line), "")
    if result.status == 0 or not complaint or _SAYS_DIFFERENT.search(result.output):
        return result.status == 0
    return CannotSee(f"the parts of the staged certificate could not be compared: {complaint}")


_SAYS_DIFFERENT = re.compile(r"No such file|Not a directory|: EOF")


@dataclass(frozen=True, kw_only=True)
class Current(Resource):
    """The link that services read leads to a pair that they can load.

    Which release that is, `serving` decides and proves. Where the one in use cannot be loaded, as
    after a power cut, the link is led to one that can, for else no service could start to prove it.
    """

    kind: ClassVar[str] = "current"
    title: ClassVar[str] = "path"
    subject: ClassVar[str] = Subject.DISTRIBUTION
    declarable: ClassVar[bool] = False
    renews: ClassVar[bool] = True

    store: Store = OWN
    path: str = OWN.current

    def ask(self) -> Mapping[str, Question]:
        key = StatQuestion(f"{self.path}/privkey.pem")
        return {"link": StatQuestion(self.path), **pair.questions(self.path), "key": key}

    def read(self, answers: Mapping[str, Any], now: datetime) -> Seen:
        link, key = answers["link"], answers["key"]
        if link is None or (hidden := unseen(link, key)):
            return link if link is None else hidden
        why_not = pair.unloadable(answers)
        if isinstance(why_not, CannotSee):
            return why_not
        if why_not is None and (mode := _mode(key)) != KEY_FILE:
            why_not = f"{WRONG_MODE}{mode}"
        return {"type": type_of(link), "leads to": why_not or LOADABLE}

    def want(self, look: View) -> State | None:
        return {"type": "link", "leads to": LOADABLE}

    def steps(self, change: Change) -> Iterable[Step]:
        if _is_mode_alone(change.seen):
            key = quote(f"{self.path}/privkey.pem")
            yield Step(f"chown root:{GROUP} {key} && chmod 0640 {key}", "lets services read the key again")
            return
        yield from move_aside(self.path, change)
        yield Step(
            f"{self.store.run('use', 'proven')} 2>/dev/null || {self.store.run('use', 'staged')}",
            "points it to the last proven release, or else to the staged one",
        )

    def provides(self) -> Iterable[str]:
        return (f"path:{self.path}",)

    def needed(self, seen: Mapping[Ref, Seen]) -> Iterable[Ref]:
        own = seen.get(self.ref)
        if is_established(own) or _is_mode_alone(own):
            return ()
        # What is staged already will do: the next release may wait for an order, which waits for an Apache
        # that starts with no other link than this one.
        return tuple(ref for ref in self.needs if not _is_loadable(seen.get(ref)))


def _is_mode_alone(seen: Seen) -> bool:
    """Whether only the ownership of the key is wrong: what a service that runs as root needs is there."""
    if not isinstance(seen, Mapping) or seen.get("type") != "link":
        return False
    return str(seen.get("leads to")).startswith(WRONG_MODE)


def _is_loadable(seen: Seen) -> bool:
    """Whether services can load what is staged, by what was seen of a `release`."""
    wanted = {"pair": "matches", "key file": KEY_FILE}
    return isinstance(seen, Mapping) and all(seen.get(name) == value for name, value in wanted.items())


def is_established(seen: Seen) -> bool:
    """Whether a host has a pair in use that services can load, by what was seen of its `current`."""
    return isinstance(seen, Mapping) and seen.get("leads to") == LOADABLE
