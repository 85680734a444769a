"""What a primary lacks: a certificate newer than its own, which only its peers have, and how it gets that.

A host that was down while another one was the primary, and is the primary again before it has caught up,
still has the lineage of its time. The newest certificate comes from a peer then, as a delivery does in the
other direction: root there seals it for root here, and the sync account carries it. The primary collects it,
for no other host's key may deliver anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from reconciler import x509
from reconciler.kinds.certificate.store import OWN, Store
from reconciler.kinds.ssh_access import client
from reconciler.model import Ref, Seen, Step, Value, View, quote

BEGINS: Final = "begins"
"""The field of an arrival's state with when the certificate begins that is staged (ISO 8601, UTC, to the
second); not there where it is none for the primary: not good, about to expire, or compromised."""

LEADS: Final = "leads from"
"""The field of a lineage's state with when the newest certificate of its host begins; empty where there is
none that can be read, and not there where that cannot be said yet."""

SEALED: Final = "sealed"
"""The field of an arrival's state that says what is sealed for the primary."""

BROUGHT: Final = "brought"
"""The field of what a lineage wants that says which release comes from which peer."""

FRESH: Final = 30
"""Minutes for which what was sealed is taken for good: the primary may have another key since."""


def newest(look: View, peers: Iterable[Ref], than: Value) -> tuple[str, str] | None:
    """The host that brings a certificate newer than the one that began then, and the release; None where no
    peer that answers has one. Of several, the one with the newest, and of those the first."""
    if not isinstance(than, str):
        return None
    found: Ref | None = None
    for peer in peers:
        begins = look.value(peer, BEGINS)
        if isinstance(begins, str) and begins > than:
            found, than = peer, begins
    return (found.host, str(look.value(found, "staged"))) if found else None


def begin(certificates: Any) -> str:
    """When the first of these certificates (PEM) begins, as in the fields. Raises `x509.Unreadable`."""
    return x509.window(x509.chain(certificates)[0])[0].isoformat(timespec="seconds")


@dataclass(frozen=True)
class Returning:
    """How the primary gets it. `peers` are the arrivals of the replicas, `folder` is where the sync account
    takes deliveries, `ports` are those of sshd that are not 22."""

    peers: tuple[Ref, ...]
    folder: str
    account: str
    identity: str
    known_hosts: str
    ports: tuple[tuple[str, int], ...] = ()
    store: Store = OWN

    @property
    def staged(self) -> str:
        """The folder in which it lies then."""
        return f"{self.store.folder}/staged"

    def wanted(self, look: View, own: Seen, replaced: str | None) -> dict[str, Value]:
        """What is wanted of a lineage where a replica has a newer certificate; nothing of that elsewhere, nor
        where its release is to be `replaced` by an order."""
        if not isinstance(own, Mapping) or own.get("release") == replaced:
            return {}
        found = newest(look, self.peers, own.get(LEADS))
        return {"release": found[1], BROUGHT: f"{found[1]} from {found[0]}"} if found else {}

    def steps(self, brought: Value) -> Iterable[Step]:
        """On the primary: collects what a peer has sealed, and stages it; `brought` is as `wanted` has it."""
        release, _, peer = str(brought).partition(" from ")
        ssh = client(self.identity, dict(self.ports).get(peer, 22), 10, self.known_hosts)
        request = " ".join(("collect", *([self.store.name] if self.store.name else [])))
        file = quote(f"{self.folder}/{self.store.sealed}")
        command = (
            f"umask 077; mkdir -p {quote(self.folder)} &&"
            f" timeout 60 {ssh} {quote(f'{self.account}@{peer}')} {request} >{file}"
        )
        yield Step(
            f"runuser -u {quote(self.account)} -- sh -c {quote(command)}",
            "collects what root has sealed there for root here",
        )
        yield Step(
            self.store.run("stage", release, self.folder, self.account, peer),
            "stages it, if root there has signed it; no service reads it yet",
        )


def sealing(store: Store, primary: str, release: str) -> Iterable[Step]:
    """On a peer: seals what is staged for the primary."""
    yield Step(
        store.run("seal", primary),
        "signs the pair, and encrypts it to root on the primary, whose own certificate is older",
    )
    yield Step(f"echo {quote(release)} >{quote(sealed_file(store, primary))}", "says which one that is")


def sealed_file(store: Store, primary: str) -> str:
    """Where it says what is sealed for the primary."""
    return f"{store.folder}/outgoing/{primary}/release"


def is_mine(look: View, me: Ref, peers: Sequence[Ref], begins: str) -> bool:
    """Whether it is this arrival's host that brings what it has, as `newest` has it."""
    before = True
    for peer in peers:
        if peer == me:
            before = False
            continue
        other = look.value(peer, BEGINS)
        if isinstance(other, str) and (other >= begins if before else other > begins):
            return False
    return True
