"""The kind `arrival`: what a replica has, of deliveries and staged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from reconciler import x509
from reconciler.kinds.certificate import compromised, pair, returning
from reconciler.kinds.certificate.compromised import Compromised
from reconciler.kinds.certificate.pair import Trust
from reconciler.kinds.certificate.release import are_whole
from reconciler.kinds.certificate.store import OWN, Store
from reconciler.model import CannotSee, Change, Question, Ref, Resource, Seen, State, Step, Value, View, quote
from reconciler.questions.system import CommandQuestion, CommandResult
from reconciler.subjects import Subject

DELIVERED_MOST = 100_000
"""Characters of a chain and a public key that are read."""

NOTHING_USABLE = "nothing usable"


@dataclass(frozen=True, kw_only=True)
class Arrival(Resource):
    """What has been delivered to a replica and what is staged there; observed only, unless that is newer than
    what the primary has: then it is sealed for the primary, which collects it."""

    kind: ClassVar[str] = "arrival"
    title: ClassVar[str] = "folder"
    subject: ClassVar[str] = Subject.DISTRIBUTION
    declarable: ClassVar[bool] = False

    folder: str
    """The folder in the sync account's home into which the primary delivers."""
    account: str
    sender: str
    """The primary, whose root signs."""
    trust: Trust
    store: Store = OWN
    lineage: Ref | None = None
    peers: tuple[Ref, ...] = ()
    """The arrivals of all replicas, this one too."""
    compromised: Compromised = compromised.NONE
    overdue: float = 0.25

    @property
    def name(self) -> str:
        return f"{self.folder} {self.store.name}".strip()

    def ask(self) -> Mapping[str, Question]:
        there = {
            f"staged {name}": each for name, each in pair.questions(f"{self.store.folder}/staged").items()
        }
        # Before the first apply the tool is not there, and so nothing has arrived.
        told = self.store.run("inspect", self.folder, self.account, self.sender)
        arrived = CommandQuestion(f"[ ! -e {self.store.tool} ] || {told}", most=DELIVERED_MOST)
        sealed = quote(returning.sealed_file(self.store, self.sender))
        return {
            "arrived": arrived,
            **there,
            "staged parts": CommandQuestion(self.store.parts),
            "sealed": CommandQuestion(f"find {sealed} -mmin -{returning.FRESH} -exec cat {{}} + 2>/dev/null"),
            **self.compromised.questions(),
        }

    def read(self, answers: Mapping[str, Any], now: datetime) -> Seen:
        arrived = _inspected(answers["arrived"])
        if isinstance(arrived, CannotSee):
            return arrived
        states = {
            "arrived": pair.facts(arrived, self.trust, now),
            "staged": pair.facts(
                {k: answers[f"staged {k}"] for k in ("fullchain", "public")}, self.trust, now
            ),
        }
        usable: dict[str, Value] = {}
        for name, state in states.items():
            if isinstance(state, CannotSee):
                return state
            usable[name] = str(state["release"]) if pair.is_good(state, self.trust) else NOTHING_USABLE
        whole = are_whole(answers["staged parts"])
        if isinstance(whole, CannotSee):
            return whole
        if not whole or usable["staged"] == NOTHING_USABLE:
            return {**usable, "staged": NOTHING_USABLE}
        leaf = x509.chain(answers["staged fullchain"])[0]
        if x509.left(leaf, now) < self.overdue or self.compromised.has(leaf, answers):
            return usable
        sealed: CommandResult | CannotSee = answers["sealed"]
        said = sealed.output if isinstance(sealed, CommandResult) and sealed.status == 0 else ""
        begins = returning.begin(answers["staged fullchain"])
        return {**usable, returning.BEGINS: begins, returning.SEALED: said or "none"}

    def want(self, look: View) -> State | None:
        own = look.own()
        begins = own.get(returning.BEGINS) if isinstance(own, Mapping) else None
        if not isinstance(own, Mapping) or not isinstance(begins, str) or self.lineage is None:
            return {}
        than = look.value(self.lineage, returning.LEADS)
        if not isinstance(than, str) or begins <= than:
            return {}
        mine = returning.is_mine(look, self.ref, self.peers, begins)
        return {returning.SEALED: own["staged"]} if mine else {}

    def steps(self, change: Change) -> Iterable[Step]:
        release = str(change.deltas[returning.SEALED].want)
        yield from returning.sealing(self.store, self.sender, release)


def _inspected(result: CommandResult | CannotSee) -> dict[str, Any] | CannotSee:
    """What was delivered, as answers to `pair.questions`. What this host cannot open is nothing."""
    if isinstance(result, CannotSee):
        return result
    if result.needs_root:
        return CannotSee("only root can open what was delivered")
    chain, mark, public = result.output.partition("-----BEGIN PUBLIC KEY-----")
    if result.status != 0 or not mark:
        return {"fullchain": None, "public": CommandResult(1, "")}
    return {"fullchain": chain, "public": CommandResult(0, mark + public)}
