"""Where what is kept of one certificate lies on the hosts: one place for the environment's own, and one for
each further one that is ordered. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from reconciler.model import quote

STATE: Final = "/var/lib/reconciler"
STORE: Final = f"{STATE}/certificate"

INCOMING: Final = "incoming"
"""The folder for deliveries, below the home of the sync account."""

TOOL: Final = f"{STATE}/bin/release"
"""The script on every host that makes, uses and proves releases (`blueprint/templates/release.sh`)."""


@dataclass(frozen=True)
class Store:
    """What there is once for each certificate. `name` is that of its entry of `certificates`; empty: the
    environment's own, whose paths have no name in them."""

    name: str = ""

    def _named(self, text: str) -> str:
        return f"{text}-{self.name}" if self.name else text

    @property
    def folder(self) -> str:
        """The folder with its releases, and the links to them."""
        return f"{STORE}s/{self.name}" if self.name else STORE

    @property
    def current(self) -> str:
        """The link that services read."""
        return f"{self.folder}/current"

    @property
    def tool(self) -> str:
        """The script that makes, uses and proves its releases."""
        return self._named(TOOL)

    @property
    def sealed(self) -> str:
        """The file in which it is delivered."""
        return f"{self._named('delivery')}.cms"

    @property
    def ledger(self) -> str:
        """On the primary: the ledger of its orders."""
        return self._named(f"{STATE}/orders")

    @property
    def revoked(self) -> str:
        """On the primary: what was revoked because its key was compromised."""
        return self._named(f"{STATE}/revoked")

    @property
    def ari(self) -> str:
        """On the primary: what the CA says of when to renew it."""
        return self._named(f"{STATE}/ari")

    @property
    def parts(self) -> str:
        """Whether leaf and chain are what the full chain has: services read either the parts or the whole."""
        staged = f"{self.folder}/staged"
        return f"cat {staged}/cert.pem {staged}/chain.pem | cmp - {staged}/fullchain.pem"

    def run(self, *words: str | int) -> str:
        """The command line that calls `tool` with these words, quoted."""
        return " ".join(["sh", self.tool, *map(quote, words)])


OWN: Final = Store()
"""That of the environment's own certificate."""
