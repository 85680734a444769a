"""What a look asks hosts about the runs of others, and what becomes of the answers."""

from __future__ import annotations

import os
import textwrap
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reconciler.cli.options import say
from reconciler.cli.workplace import Workplace
from reconciler.printable import printable

if TYPE_CHECKING:
    from reconciler.environment.settings import Environment
    from reconciler.fleet.fleet import Fleet
    from reconciler.journal.leaving import HostRecords, RunLines, Sign
    from reconciler.journal.lines import Line
    from reconciler.model import Plan


def records(environment: Environment, workplace: Workplace) -> HostRecords:
    """What the hosts are to be asked for: what is new since the last look that was recorded here."""
    from reconciler.journal.journal import NoJournal
    from reconciler.journal.leaving import HostRecords
    from reconciler.journal.team import TeamJournal

    with suppress(NoJournal):
        if journal := workplace.journal_to_read():
            with journal:
                return TeamJournal(journal).records(environment.name)
    return HostRecords(environment.name, {})


def keep(fleet: Fleet, environment: Environment, workplace: Workplace) -> None:
    """Keeps what hosts have told, if anything is new, and says what is newly wrong with their records. Where
    there is no journal to write, the look is as good without."""
    from reconciler.journal.journal import NoJournal
    from reconciler.journal.team import TeamJournal

    if fleet.records is None or not fleet.records.is_new:
        return
    with suppress(NoJournal), workplace.journal(workplace.clock, True) as journal:
        for line in TeamJournal(journal).merge(fleet.records, partial(_signer, environment)):
            say(printable(line))


def run_lines(
    fleet: Fleet, number: int, begun: Mapping[str, Any], approved: Plan, workplace: Workplace
) -> RunLines | None:
    """What a run leaves on the hosts that it touches; `begun` is the journal's entry of its beginning."""
    from reconciler.journal.leaving import RunLines

    if fleet.records is None:
        return None
    commit = begun["commit"] or {"id": "", "dirty": False}
    facts = {name: begun[name] for name in ("who", "command", "file", "approvers")}
    facts |= {"number": number, "commit": commit["id"], "dirty": commit["dirty"], "plan": begun["digest"]}
    return RunLines(fleet.records, begun["id"], facts, approved.actions, workplace.clock, _sign())


def close(fleet: Fleet, lines: RunLines | None, code: int) -> None:
    """Leaves the last line of a run on the hosts that it touched, with the word that releases their locks. A
    host that is lost has none."""
    from reconciler.monitor.tracker import settled_wants

    if lines is None:
        return
    settled: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for ref, want in settled_wants(fleet.plan()).items():
        settled[ref.host].append((str(ref), want))
    last = {
        host: text
        for host, text in lines.closing(int(code), settled).items()
        if host not in fleet.sight.unreachable
    }
    for host, reason in sorted(fleet.release(last).items()):
        say(f"{host}: the end of this run is not in its record of runs ({printable(reason)})")


KEY = "RECONCILE_SIGNING_KEY"
"""Names the key that runs are signed with; without it they are unsigned."""

_BEGIN, _END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"


def _sign() -> Sign:
    """What signs the lines of a run. A key that cannot sign is said once, and the run goes on unsigned."""
    from reconciler.approval import signatures
    from reconciler.journal.leaving import unsigned

    key = os.environ.get(KEY)
    if not key:
        return unsigned
    failed: list[str] = []

    def sign(text: str) -> str:
        try:
            made = signatures.sign(text, Path(key), signatures.RUNS, asks=False)
        except signatures.NoSignature as error:
            if not failed:
                say(f"{KEY}: {error}; this run is not signed")
            failed.append(key)
            return unsigned(text)
        return "".join(made.signature.replace(_BEGIN, "").replace(_END, "").split())

    return sign


def _signer(environment: Environment, line: Line) -> str:
    """Who of the environment's allowed signers has signed a line of a run; "" where none has."""
    from reconciler.approval import signatures
    from reconciler.journal.lines import UNSIGNED

    allowed = environment.policy.allowed_signers
    if line.signature == UNSIGNED or not allowed or not Path(allowed).is_file():
        return ""
    armoured = "\n".join([_BEGIN, *textwrap.wrap(line.signature, 70), _END, ""])
    with suppress(signatures.NoSignature):
        found = signatures.signer(signatures.Approval(line.digest, armoured), Path(allowed), signatures.RUNS)
        return found[0] if found else ""
    return ""
