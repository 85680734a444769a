"""What a run leaves on the hosts that it touches, and the word that releases their locks."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reconciler.approval import signatures
from reconciler.cli.options import say
from reconciler.cli.workplace import Workplace
from reconciler.fleet.fleet import Fleet
from reconciler.journal.leaving import LinesOfRun, Sign, unsigned
from reconciler.model import Plan
from reconciler.monitor.tracker import settled_wants
from reconciler.printable import printable

KEY = "RECONCILE_SIGNING_KEY"
"""Names the key that runs are signed with; without it they are unsigned."""


def run_lines(
    fleet: Fleet, number: int, begun: Mapping[str, Any], approved: Plan, workplace: Workplace
) -> LinesOfRun | None:
    """What a run leaves on the hosts that it touches; `begun` is the journal's entry of its beginning."""
    if fleet.records is None:
        return None
    commit = begun["commit"] or {"id": "", "dirty": False}
    facts = {name: begun[name] for name in ("who", "command", "file", "approvers")}
    facts |= {"number": number, "commit": commit["id"], "dirty": commit["dirty"], "plan": begun["digest"]}
    return LinesOfRun(fleet.records, begun["id"], facts, approved.actions, workplace.clock, _sign())


def close(fleet: Fleet, lines: LinesOfRun | None, code: int) -> None:
    """Leaves the last line of a run on the hosts that it touched, with the word that releases their locks. A
    host that is lost has none."""
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


def _sign() -> Sign:
    """What signs the lines of a run. A key that cannot sign is said once, and the run goes on unsigned."""
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
        return signatures.compact(made)

    return sign
