"""What is known here of runs that were made elsewhere: lines that hosts have told, kept beside the journal.

They are no entries of it: an entry is what this machine has done. Nothing here is asked whether something may
be done (docs/decisions/027).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress

from reconciler.journal.elsewhere import RunElsewhere, ToldLine, runs_from
from reconciler.journal.journal import Journal
from reconciler.journal.lines import RunLine, line_from, short
from reconciler.journal.records import HostRecords
from reconciler.model import Ref

KEPT = 400
"""Lines of a host that are kept; older ones go."""

JUDGED = 40
"""Signatures of one host that one look judges: the newest, for each starts two processes."""

CLAIMS = 2000
"""Resources of a host of which is kept what runs elsewhere had made of them."""

ADD = "INSERT OR IGNORE INTO elsewhere (environment, host, digest, line, signer) VALUES (?, ?, ?, ?, ?)"
DROP = """DELETE FROM elsewhere WHERE environment = ? AND host = ? AND number NOT IN
  (SELECT number FROM elsewhere WHERE environment = ? AND host = ? ORDER BY number DESC LIMIT ?)"""

Signer = Callable[[RunLine], str]
"""Who has signed a line; "" where nobody known has."""


class TeamJournal:
    """The runs of others in a journal. Every method raises `NoJournal` where it cannot be used."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def records(self, environment: str) -> HostRecords:
        """What the hosts of an environment are to be asked for."""
        known = self._records(environment)
        heads = {host: head for host, head, _, _ in known}
        return HostRecords(environment, heads, {host: remark for host, _, remark, _ in known})

    def merge(self, records: HostRecords, signer: Signer) -> list[str]:
        """Keeps what hosts have told since; the same told again changes nothing. Returns what is wrong with
        their records and was not before, one line each."""
        name, news = records.environment, []
        known = {host: (head, remark, text) for host, head, remark, text in self._records(name)}
        own = self._own(name)
        for host, remarks in records.remarks.items():
            head, remark, text = known.get(host, ("", "", "{}"))
            lines, told = records.lines.pop(host, []), "; ".join(remarks)
            if (records.heads[host], told) == (head, remark) and not lines:
                continue
            if told and told != remark:
                news.append(f"{host}: its record of runs: {told}")
            others = [each for each in lines if each.run not in own][-KEPT:]
            signers = {each.digest: signer(each) for each in others[-JUDGED:]}
            added = [(name, host, each.digest, each.text, signers.get(each.digest, "")) for each in others]
            row = (name, host, records.heads[host], told, _with_claims(text, others))
            self._journal.change(
                *((ADD, values) for values in added),
                (DROP, (name, host, name, host, KEPT)),
                ("INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?, ?)", row),
            )
        return news

    def remarks(self, environment: str | None = None, hosts: Collection[str] | None = None) -> list[str]:
        """What is wrong with the records of hosts, as they were when last looked at; None: of all."""
        return [
            f"{host}: its record of runs of {name}: {remark}"
            for name, host, remark in self._journal.rows(
                "records",
                "SELECT environment, host, remark FROM records WHERE remark != '' ORDER BY environment, host",
            )
            if environment in (None, name) and (hosts is None or host in hosts)
        ]

    def newest(self) -> int:
        """The number of the newest line that was told; 0 where none was."""
        found = self._journal.rows("elsewhere", "SELECT IFNULL(MAX(number), 0) FROM elsewhere")
        return int(found[0][0]) if found else 0

    def runs(self, environment: str | None = None, after: int = 0) -> list[RunElsewhere]:
        """The runs of others, oldest first; those of which a line was told after that with this number."""
        told, later = [], set()
        query = "SELECT number, environment, host, line, signer FROM elsewhere ORDER BY number"
        for number, name, host, text, signer in self._journal.rows("elsewhere", query):
            with suppress(ValueError):  # whoever has changed it here has changed what is only told
                if environment in (None, name):
                    told.append(ToldLine(host, line_from(text), signer))
                    later |= {told[-1].line.run} if number > after else set()
        return [each for each in runs_from(told) if each.run in later]

    def settled(self, environment: str, refs: Iterable[Ref], want_of: Callable[[Ref], str]) -> dict[str, str]:
        """The refs (as text) that runs elsewhere have settled since they were last seen as desired here, with
        the digest of what was desired then: that of now (`want_of`) where it is still that, else ""."""
        claims, found = self._claims(environment), {}
        for ref in refs:
            if ref.host in claims and (said := claims[ref.host].get(short(str(ref)))) is not None:
                want = want_of(ref)
                found[str(ref)] = want if said == want[:16] else ""
        return found

    def seen_here(self, environment: str, refs: Iterable[Ref]) -> None:
        """These were seen as desired here: that counts from now on, and not what a run elsewhere had made."""
        claims = self._claims(environment)
        seen = {(ref.host, short(str(ref))) for ref in refs if ref.host in claims}
        for host, claimed in claims.items():
            left = {key: want for key, want in claimed.items() if (host, key) not in seen}
            if left != claimed:
                self._journal.change((
                    "UPDATE records SET settled = ? WHERE environment = ? AND host = ?",
                    (json.dumps(left), environment, host),
                ))  # fmt: skip

    def _claims(self, environment: str) -> dict[str, dict[str, str]]:
        """By host, what runs elsewhere had made of its resources; hosts that tell of none are left out."""
        return {host: claims for host, _, _, text in self._records(environment) if (claims := _parsed(text))}

    def _records(self, environment: str) -> list[tuple[str, str, str, str]]:
        query = "SELECT host, head, remark, settled FROM records WHERE environment = ?"
        return [
            (host, head, remark, text)
            for host, head, remark, text in self._journal.rows("records", query, environment)
        ]

    def _own(self, environment: str) -> set[str]:
        """What runs of this machine are called on hosts."""
        return {str(each.body.get("id")) for each in self._journal.entries(None, environment, "begin")}


def _with_claims(text: str, lines: list[RunLine]) -> str:
    claims = _parsed(text)
    for each in lines:
        claims |= each.body.get("settled", {})
    return json.dumps(dict(list(claims.items())[-CLAIMS:]))


def _parsed(text: str) -> dict[str, str]:
    with suppress(ValueError):
        found = json.loads(text)
        return found if isinstance(found, dict) else {}
    return {}
