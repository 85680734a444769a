"""Runs that were made elsewhere, in words. Pure.

All of it was told by hosts, so each text says who has told it, and whether anybody has signed it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from reconciler.journal.elsewhere import RunElsewhere
from reconciler.output.text import Style, did_text, end_text, many, utc
from reconciler.printable import printable


def result(run: RunElsewhere) -> str:
    """How it went, in a word or two."""
    return "its end is not known" if run.code is None else end_text(run.code)


def faith(run: RunElsewhere) -> str:
    """How far it can be believed."""
    if run.disputed:
        return "its hosts tell it differently"
    return f"signed by {run.signed_by}" if run.signed_by else "unsigned"


def listed(run: RunElsewhere, style: Style) -> str:
    """One line of a list of runs."""
    what = f"{did_text(run.command, run.count, run.approvers)}: {result(run)}"
    line = printable(f"run {run.run}  {run.environment}: {what}; elsewhere, by {run.machine} ({faith(run)})")
    line = f"{utc(run.began)}  {line}"
    return line if run.code == 0 and not run.disputed else style.mark("~", line)


def detail_lines(run: RunElsewhere) -> Iterator[str]:
    """One run, with all that its hosts have told."""
    what = f"run {run.run} of {run.environment}: {run.command}, made elsewhere"
    yield f"{utc(run.began)}  {printable(what)}"
    dirty = ", with uncommitted changes" if run.dirty else ""
    where = f"commit {run.commit}{dirty}" if run.commit else "in no git commit"
    lines = [f"by {run.who}", f"run {run.number} there", f"file {run.file}, {where}", f"plan {run.plan}"]
    lines += [f"approved by {who}, it says" for who in run.approvers]
    lines += [f"{host}: {each}" for host, actions in run.actions.items() for each in actions]
    lines += [f"and {many(run.more, 'further action')}"] if run.more else []
    ended = f" at {utc(run.ended)}" if run.ended else ""
    lines += [f"{result(run)}{ended}", f"told by {', '.join(run.hosts)}; {faith(run)}"]
    yield from (f"    {printable(each)}" for each in lines)


def remark_lines(remarks: Iterable[str], style: Style) -> Iterator[str]:
    """What is wrong with the records of hosts."""
    yield from (style.mark("~", printable(each)) for each in remarks)
