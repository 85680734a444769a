"""The kind `certificate`: certbot's lineage on the primary."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, ClassVar

from reconciler import x509
from reconciler.kinds.certificate import caa, certbot, compromised, ordering, pair, profile
from reconciler.kinds.certificate.certbot import CertbotLineage, Renewal
from reconciler.kinds.certificate.compromised import Compromised
from reconciler.kinds.certificate.lineage_state import (
    has_stale_links,
    is_absent,
    is_unreadable,
    is_unusable,
    may_be_between_two,
    origin,
    release_of,
)
from reconciler.kinds.certificate.pair import Trust
from reconciler.kinds.certificate.returning import BROUGHT, LEADS, Returning, begin
from reconciler.kinds.certificate.store import OWN
from reconciler.model import (
    Action,
    CannotSee,
    Change,
    Delta,
    InTransit,
    Question,
    Ref,
    Resource,
    Seen,
    State,
    Step,
    Value,
    View,
    quote,
)
from reconciler.questions.files import FileEntry, TextQuestion
from reconciler.subjects import Risk, Subject
from reconciler.unknowns import RELEASE

ORDERS = {"names", "key", "pair", "fresh", compromised.FIELD}
"""The fields that only a new certificate can settle."""

SEEN_SOMETIMES: Mapping[str, Value] = {
    "account": "there",
    "files": "whole",
    "release in use": "not newer",
    profile.FIELD: profile.NEW_ENOUGH,
    compromised.FIELD: False,
}
"""What is wanted of fields that are not seen where something else is wrong, or is not to be seen."""

RENEWED_AT = ("renewal: server", f"renewal: {profile.KEY}")
"""The fields that say at which CA certbot renews, and how there."""

NEW = "(a new one)"

_NEWER = "newer: "
"""How the field `release in use` begins, before the release."""

SWITCHED_WITHIN = 2
"""Seconds within which certbot writes a new version and sets its four links; a look that falls between may
see the certificate of one version and the key of another. An order has to rest on more than that."""

_ORDER = re.compile(r"sh .+ order \w+$")
"""The step that orders, as `Lineage.steps` writes it."""


@dataclass(frozen=True, kw_only=True)
class Lineage(Resource):
    """certbot's lineage on the primary: the certificate as it was issued, and how it is renewed.

    The files that certbot left are checked, not what it prints. `overdue` is a fraction of the
    lifetime: once less is left, apply orders the renewal that cron should have made. Declared
    absent, on a host that is no longer the primary, the lineage is moved aside and kept.
    """

    kind: ClassVar[str] = "certificate"
    title: ClassVar[str] = "router"
    subject: ClassVar[str] = Subject.CERTIFICATE
    declarable: ClassVar[bool] = False
    unknowns: ClassVar[Mapping[str, str]] = {"release": RELEASE}
    asides: ClassVar[str] = caa.FIELD

    router: str
    folder: str
    """certbot's configuration folder."""
    script: str
    limits: str = ""
    """Shell that ends with 75, and says why, if the CA would refuse another order. It is no file on the
    host, for the YAML says where those are, and every look runs it."""
    caa: str = ""
    """Shell that tells what the DNS lets the CA issue, as `caa.facts` reads it."""
    server: str
    trust: Trust
    renewal: tuple[tuple[str, str], ...] = ()
    """What certbot's renewal file must say for the next renewal: keys and values."""
    spare: str
    """The folder with the release in use, which becomes the lineage of a new primary."""
    contact: str | None = None
    profile: str | None = None
    """The CA's profile that each order asks for."""
    second: ordering.SecondAuthority | None = None
    overdue: float = 0.25
    for_order: tuple[Ref, ...] = ()
    """What must be settled before an order, on every host, for the CA may ask any of them."""
    hook: str | None = None
    """The program by which an order changes the DNS, where it does."""
    ari: str = OWN.ari
    """The file with the CA's renewal information."""
    compromised: Compromised = compromised.NONE
    """Those that are replaced, and never taken over, because their key is thought compromised."""
    returning: Returning | None = None
    """How a certificate that is newer than its own, and that only replicas have, gets here."""
    replaces: str | None = None
    """A release to replace although nothing is wrong with it (`apply --replace`)."""

    @property
    def certbot(self) -> CertbotLineage:
        """Where certbot keeps it."""
        return CertbotLineage(self.folder, self.router)

    def ask(self) -> Mapping[str, Question]:
        questions: dict[str, Question] = {"conf": TextQuestion(self.certbot.conf)}
        if self.absent:
            return questions
        return {
            **questions,
            **pair.questions(self.certbot.live),
            **{f"spare {name}": each for name, each in pair.questions(self.spare).items()},
            **self.certbot.questions(),
            "account": self.certbot.account_question(
                self.server, self.second.server if self.second else None
            ),
            **ordering.questions(self.limits, self.caa),
            **({profile.FIELD: profile.QUESTION} if self.profile else {}),
            **(self.second.questions() if self.second else {}),
            "ari": TextQuestion(self.ari),
            **self.compromised.questions(),
        }

    def read(self, answers: Mapping[str, Any], now: datetime) -> Seen:
        seen = self._seen(answers, now)
        if isinstance(seen, Mapping) and not self.absent:
            seen = {**seen, **self._leads(seen, answers)}
        if isinstance(seen, Mapping) and not self.absent and may_be_between_two(seen):
            return InTransit("certbot may be changing it at this moment", SWITCHED_WITHIN, seen)
        return seen

    def _seen(self, answers: Mapping[str, Any], now: datetime) -> Seen:
        if isinstance(answers["conf"], CannotSee):
            return answers["conf"]
        if self.absent:
            return {"lineage": "present"} if answers["conf"] is not None else None
        found, live = pair.facts(answers, self.trust, now), answers["live"]
        if isinstance(found, CannotSee) or isinstance(live, CannotSee):
            return found if isinstance(found, CannotSee) else live
        versions = certbot.versions(answers)
        if isinstance(versions, CannotSee):
            return versions
        # A link in the place of certbot's folder is not certbot's: somebody pointed services to it.
        certbots = isinstance(live, FileEntry) and live.type == "d" and versions != []
        if answers["conf"] is None or found["release"] == "none" or not certbots:
            # With remains there, certbot would fail, or order under the name ROUTER-0001.
            left = answers["conf"] is not None or isinstance(live, FileEntry) or bool(versions)
            remains = {"remains": "what certbot cannot use"} if left else {}
            spare = self._spare(answers, now)
            if isinstance(spare, CannotSee):
                return spare
            return {"lineage": "absent", **self._about_orders(answers, now), **remains, "release": spare}
        state = self._about_orders(answers, now, found) | {"lineage": "present", **found}
        state["links"] = self.certbot.links(answers, versions)
        if "names" in found:
            chain = x509.chain(answers["fullchain"])
            state |= {"fresh": self._fresh(chain, answers["ari"], now), **origin(chain)}
            state |= self.compromised.facts(chain[0], answers)
            if state["links"] == "newest":
                state |= self._of_newest(answers, versions, now)
        state["renewal file"] = self.certbot.conf_fault(answers["conf"]) or "whole"
        if (account := certbot.account(answers)) is not None:
            state["account"] = account
        return state | self._remembered(answers)

    def _leads(self, seen: State, answers: Mapping[str, Any]) -> dict[str, Value]:
        """When the newest certificate of this host begins; nothing where that cannot be said yet."""
        if has_stale_links(seen) or seen.get("release") == "none":
            return {LEADS: ""} if seen.get("release") == "none" else {}
        used = is_absent(seen) or self.taken(seen) is not None
        chain = answers["spare fullchain" if used else "fullchain"]
        return {LEADS: "" if is_unreadable(seen) else begin(chain)}

    def _about_orders(
        self, answers: Mapping[str, Any], now: datetime, pair: Container[str] = ()
    ) -> dict[str, Value]:
        """What lets no order be placed, at the CA that would be asked."""
        version = profile.facts(answers[profile.FIELD]) if self.profile else {}
        state = ordering.facts(answers, self.trust.names)
        if self.second:
            leaf = x509.chain(answers["fullchain"])[0] if "names" in pair else None
            urgent = leaf is None or x509.left(leaf, now) < self.overdue
            state = self.second.takes(answers, state, self.trust.names) if urgent else state
            state |= self.second.issuer(answers, leaf, self.server)
        return state | version

    def _spare(self, answers: Mapping[str, Any], now: datetime) -> str | CannotSee:
        """The release in use if it is good, fresh and not compromised; else "none": a new one is ordered."""
        mine = {name: answers[f"spare {name}"] for name in ("fullchain", "public")}
        found = pair.facts(mine, self.trust, now)
        if isinstance(found, CannotSee):
            return found
        if not pair.is_good(found, self.trust):
            return "none"
        chain = x509.chain(mine["fullchain"])
        usable = self._fresh(chain, None, now) and not self.compromised.has(chain[0], answers)
        return str(found["release"]) if usable and found["release"] != self.replaces else "none"

    def _of_newest(self, answers: Mapping[str, Any], versions: list[int], now: datetime) -> State:
        """What is said of the newest version, once the links lead to it: `SEEN_SOMETIMES`."""
        files, newer = self.certbot.files(answers, versions), self._newer(answers, now)
        return {
            **({"files": files} if files else {}),
            **({"release in use": f"{_NEWER}{newer}"} if newer else {}),
        }

    def _newer(self, answers: Mapping[str, Any], now: datetime) -> str | None:
        """The release in use, where it is good and was issued after the lineage: this host was the primary
        before, and another one has renewed since. Its key may have been replaced for a reason."""
        if answers["spare fullchain"] == answers["fullchain"]:
            return None  # as nearly always: its chain is not verified once more
        spare = self._spare(answers, now)
        if isinstance(spare, CannotSee) or spare == "none":
            return None
        used, mine = (x509.chain(answers[name])[0] for name in ("spare fullchain", "fullchain"))
        return spare if x509.window(used)[0] > x509.window(mine)[0] else None

    def _fresh(self, chain: tuple[Any, ...], ari: Any, now: datetime) -> bool:
        return x509.left(chain[0], now) >= self.overdue and not ordering.ari_is_over(ari, chain[0], now)

    def _remembered(self, answers: Mapping[str, Any]) -> dict[str, Value]:
        try:
            values = certbot.parse_conf(answers["conf"]).get("renewalparams", {})
        except ValueError:
            # It is written anew, with these.
            return {f"renewal: {key}": value for key, value in self.renewal}
        found = {key: values.get(key, certbot.UNSAID.get(key)) for key, _ in self.renewal}
        if profile.KEY in values or (self.profile and profile.keeps(answers[profile.FIELD])):
            found[profile.KEY] = values.get(profile.KEY)
        return {f"renewal: {key}": value for key, value in found.items()}

    def _renewal(self, own: Seen) -> Renewal:
        """What certbot's renewal file must say, where it says what was seen; None: nothing of that."""
        says = isinstance(own, Mapping) and f"renewal: {profile.KEY}" in own
        return (*self.renewal, *([(profile.KEY, self.profile)] if says or self.profile else []))

    def want(self, look: View) -> State | None:
        if self.absent:
            return None
        own = look.own()
        brought = self.returning.wanted(look, own, self.replaces) if self.returning else {}
        if is_absent(own) and isinstance(own, Mapping) and own["release"] != "none":
            return {"lineage": "present", **brought}
        renewal: dict[str, Value] = {f"renewal: {key}": value for key, value in self._renewal(own)}
        if isinstance(own, Mapping):
            if f"renewal: {profile.KEY}" not in own:
                renewal.pop(f"renewal: {profile.KEY}", None)
            if self.second and self.second.renews(own):
                renewal = {key: own.get(key) if key in RENEWED_AT else renewal[key] for key in renewal}
        whole: dict[str, Value] = {"fresh": True, "links": "newest", "renewal file": "whole", **renewal}
        if isinstance(own, Mapping):
            whole |= {name: value for name, value in SEEN_SOMETIMES.items() if name in own}
        # Other resources refer to the release; until the order it is not known which it will be.
        another = {"release": NEW} if self._orders(own) or has_stale_links(own) else {}
        if (newer := self.taken(own)) is not None:
            another = {"release": newer}
        return {"lineage": "present", **pair.wanted(self.trust), **whole, **another, **brought}

    @classmethod
    def risks(cls, action: Action) -> Iterable[str]:
        if any(_ORDER.match(step.command) for step in action.steps):
            yield Risk.ORDER

    def verb(self, change: Change) -> str:
        creates = is_absent(change.seen) and self._orders(change.seen) and BROUGHT not in change.deltas
        return "create" if creates else super().verb(change)

    def needed(self, seen: Mapping[Ref, Seen]) -> Iterable[Ref]:
        own = seen.get(self.ref)
        orders = not isinstance(own, Mapping) or self._orders(own)
        return (*self.needs, *self.for_order) if orders else self.needs

    def refuses(self, change: Change) -> str | None:
        seen = change.seen or {}
        if change.removes:
            return None
        if certbot.NO_FILE in str(seen.get("files")):
            return f"{seen['files']}; certbot can neither renew nor order beside it: move it away, and apply"
        orders = self._orders(seen) and BROUGHT not in change.deltas
        if (orders or profile.FIELD in change.deltas) and (why := profile.refused(seen, self.profile)):
            return why
        if orders and (why := ordering.refusal(seen, self.trust.names)):
            return why
        settled = is_absent(seen) or has_stale_links(seen) or self.taken(seen) is not None
        if "chain" in change.deltas and not (orders or settled or BROUGHT in change.deltas):
            return (
                f"{seen['chain']}; another order would most likely bring the same: look at `certificate:`"
                " `roots` first, then `apply --replace certificate`"
            )
        return None

    def _orders(self, own: Seen) -> bool:
        """Whether only a new certificate can settle what was seen."""
        if not isinstance(own, Mapping):
            return False
        if is_absent(own):
            return own["release"] == "none"
        if has_stale_links(own) or self.taken(own) is not None:
            # The links are set first, then the pair is checked: most likely the newest version is good.
            return False
        wanted = {**pair.wanted(self.trust), "fresh": True, compromised.FIELD: False}
        faulty = any(own.get(name, False) != wanted[name] for name in ORDERS)
        return faulty or own.get("release") == self.replaces

    def taken(self, own: Seen) -> str | None:
        """The newer release in use that becomes the lineage's newest version; None where there is none,
        or the lineage's own is to be replaced by an order."""
        if not isinstance(own, Mapping) or own.get("release") == self.replaces:
            return None
        newer = str(own.get("release in use", ""))
        return newer.removeprefix(_NEWER) if newer.startswith(_NEWER) else None

    def replacement(self, seen: State) -> Resource:
        return replace(self, replaces=str(seen.get("release")))

    def notes(self, seen: State, change: Change | None) -> Iterable[str]:
        if self.second:
            orders = self._orders(seen) and not (change and BROUGHT in change.deltas)
            yield from self.second.notes(seen, self.server, orders=orders)
        yield from caa.notes(seen, self.trust.names)

    def diff_text(self, delta: Delta, seen: State | None) -> str | None:
        known = seen is not None and "names" in seen
        return pair.names_text(delta.seen, delta.want) if delta.field == "names" and known else None

    def steps(self, change: Change) -> Iterable[Step]:
        seen = change.seen or {}
        if change.removes:
            yield self.certbot.set_aside("this host is no longer the primary; what certbot has is kept")
            return
        yield from self._made_usable(seen, change.deltas)
        source, brought = self.spare, self.returning is not None and BROUGHT in change.deltas
        if self.returning and brought:
            yield from self.returning.steps(change.deltas[BROUGHT].want)
            source = self.returning.staged
        if self._orders(seen) and not brought:
            yield Step(
                f"sh {quote(self.script)} order {release_of(seen)}",
                "proves that the CA would find a challenge everywhere, then orders",
                minutes=15,
            )
        elif is_absent(seen) or (brought and is_unusable(seen)):
            yield self.certbot.register(self.server, self.contact)
            yield from self.certbot.take_over(source, self._renewal(seen))
        else:
            if "links" in change.deltas:
                yield self.certbot.relink()
            if brought or self.taken(seen) is not None:
                yield from self.certbot.add(source)
            differs = any(name.startswith("renewal: ") for name in change.deltas)
            if differs and "renewal file" not in change.deltas:
                yield self.certbot.set_renewal(self._renewal(seen))
            if "account" in change.deltas:
                yield from self.certbot.mend_account(self.server, self.contact)

    def _made_usable(self, seen: State, deltas: Container[str]) -> Iterable[Step]:
        """What comes before an order too: with a lineage that it cannot use, certbot would fail, or call the
        next one ROUTER-0001."""
        if "remains" in seen or (is_unusable(seen) and not has_stale_links(seen)):
            yield self.certbot.set_aside("certbot cannot work with it; it is kept")
        else:
            if "renewal file" in seen and "renewal file" in deltas:
                yield from self.certbot.rewrite(self._renewal(seen))
            if "files" in seen and "files" in deltas:
                yield self.certbot.restore_files()
        if "account" in seen and "account" in deltas:
            yield self.certbot.set_accounts_aside(self.server)

    def refers(self) -> Iterable[Ref]:
        return self.returning.peers if self.returning else ()

    def provides(self) -> Iterable[str]:
        return (f"path:{self.certbot.live}",)

    def requires(self) -> Iterable[str]:
        return ("package:certbot", *([f"path:{self.hook}"] if self.hook else []))
