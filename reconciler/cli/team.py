"""What a look asks hosts about the runs of others, and what becomes of the answers."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.cli.options import say
from reconciler.cli.workplace import Workplace
from reconciler.printable import printable

if TYPE_CHECKING:
    from reconciler.environment.settings import Environment
    from reconciler.fleet.fleet import Fleet
    from reconciler.journal.lines import RunLine
    from reconciler.journal.records import HostRecords


def records(environment: Environment, workplace: Workplace) -> HostRecords:
    """What the hosts are to be asked for: what is new since the last look that was recorded here."""
    from reconciler.journal.journal import NoJournal
    from reconciler.journal.records import HostRecords
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


def _signer(environment: Environment, line: RunLine) -> str:
    """Who of the environment's allowed signers has signed a line of a run; "" where none has."""
    from reconciler.approval import signatures
    from reconciler.journal.lines import UNSIGNED

    allowed = environment.policy.allowed_signers
    if line.signature == UNSIGNED or not allowed or not Path(allowed).is_file():
        return ""
    with suppress(signatures.NoSignature):
        found = signatures.signer(
            signatures.expanded(line.digest, line.signature), Path(allowed), signatures.RUNS
        )
        return found[0] if found else ""
    return ""
