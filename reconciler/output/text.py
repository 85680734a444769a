"""Plans, observations and outcomes as text for people. Pure.

Whatever came from a host or the YAML passes through `printable` on its way to a terminal.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any

from reconciler.messages import Message
from reconciler.model import VERBS, Action, CannotSee, Delta, Observation, Plan, Step, Value
from reconciler.printable import printable

if TYPE_CHECKING:  # text is needed by every command, and these load much
    from reconciler.fleet.report import Report
    from reconciler.journal.journal import JournalEntry
    from reconciler.journal.path import Verdict
    from reconciler.monitor.findings import Finding
    from reconciler.tls.names import NameCheck
    from reconciler.tls.verify import Check

COLOURS = {"+": "32", "~": "33", "-": "31", "!": "36"}


class Style:
    """Lines of text, coloured or not."""

    def __init__(self, colour: bool) -> None:
        self.has_colour = colour

    def mark(self, symbol: str, text: str) -> str:
        """The text in the colour of a symbol."""
        return f"\x1b[{COLOURS[symbol]}m{text}\x1b[0m" if self.has_colour and symbol in COLOURS else text

    def bold(self, text: str) -> str:
        """The text in strong letters, where there is colour."""
        return f"\x1b[1m{text}\x1b[0m" if self.has_colour else text

    def dim(self, text: str) -> str:
        """The text in faint letters, where there is colour."""
        return f"\x1b[2m{text}\x1b[0m" if self.has_colour else text


def action_lines(action: Action, style: Style) -> Iterable[str]:
    """One action: its ref, what differs, and the commands."""
    symbol = VERBS[action.verb]
    place = style.dim(f"  ({printable(str(action.place))})") if action.place else ""
    yield style.mark(symbol, f"{symbol} {printable(str(action.ref))}") + place
    for delta in action.deltas:
        yield from _delta_lines(delta, style)
    if action.blocked:
        yield f"    refused: {printable(action.blocked)}"
    for when, steps in (("", action.steps), ("if one fails: ", action.rescue)):
        yield from (style.dim(f"    {line}") for step in steps for line in step_lines(when, step))


def step_lines(when: str, step: Step) -> Iterable[str]:
    """A step's command as it would be typed, how much it is fed, and why; `when` stands before it."""
    fed = f" <<< ({step.fed} bytes)" if step.fed else ""
    first, *more = step.command.split("\n")
    yield f"{when}$ {printable(first)}{fed}  # {printable(step.why)}"
    yield from (f"  {printable(line)}" for line in more)


def _delta_lines(delta: Delta, style: Style) -> Iterable[str]:
    if delta.text is not None:
        yield f"    {printable(delta.field)}:"
        for symbol, line in diff_lines(delta.text):
            yield "      " + style.mark(symbol, printable(line))
    elif delta.seen is None:
        yield f"    {printable(delta.field)}: {value_text(delta.want)}"
    else:
        yield f"    {printable(delta.field)}: {value_text(delta.seen)} → {value_text(delta.want)}"


def diff_lines(text: str) -> Iterable[tuple[str, str]]:
    """Each line of a delta's text with `+` or `-`; with nothing where it is in both texts.

    A unified diff begins with two lines of its own; a removed line may look like them.
    """
    lines = text.removesuffix("\n").split("\n")
    own = 2 if lines[0].startswith("--- ") and len(lines) > 1 and lines[1].startswith("+++ ") else 0
    for number, line in enumerate(lines):
        yield line[:1] if number >= own and line[:1] in ("+", "-") else "", line


def value_text(value: Value) -> str:
    """A field's value as plans print it."""
    if value is None:
        return "(none)"
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = printable(str(value))
    return text if text.startswith("(") or isinstance(value, int) else f'"{text}"'


def incomplete_lines(plan: Plan) -> Iterable[str]:
    """What could not be judged, by host; the same reason is printed once."""
    for host, reason in sorted(plan.unreachable.items()):
        yield f"? {printable(host)} could not be looked at: {printable(reason)}"
    reasons: dict[tuple[str, str], list[str]] = {}
    for ref, reason in sorted(plan.unknown.items()):
        reasons.setdefault((ref.host, reason), []).append(f"{ref.kind} {ref.name}")
    for (host, reason), names in reasons.items():
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        yield f"? {printable(host)}: cannot see {printable(', '.join(names[:3]))}{more}: {printable(reason)}"


def summary(plan: Plan) -> str:
    """The last line of a plan: how many actions of each sort, on how many hosts."""
    if not plan.actions and plan.complete:
        return f"Nothing to do: {plan.environment} is as declared."
    if not plan.actions:
        return f"Nothing to do as far as could be seen; {plan.environment} could only be checked partially."
    count = Counter(VERBS[action.verb] for action in plan.actions)
    hosts = len({action.ref.host for action in plan.actions})
    return (
        f"Plan: {count['+']} to create, {count['~']} to change, {count['-']} to remove,"
        f" {many(count['!'], 'reload')} on {many(hosts, 'host')}."
    )


def utc(moment: datetime) -> str:
    """A moment to the minute, in UTC: `2026-11-26 13:05 UTC`."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def many(number: int, what: str) -> str:
    """`1 host`, `2 hosts`."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def finding_lines(found: Sequence[Finding], since: Mapping[str, datetime], style: Style) -> Iterable[str]:
    """The findings, a line each; what was never applied is only counted."""
    for each in found:
        at = f" since {utc(since[each.id])}" if each.id in since else ""
        line = printable(f"{each.verdict}{at}: {each.subject}: {each.detail}")
        if each.acknowledged:
            yield style.dim(f"acknowledged, {line}: {printable(each.acknowledged)}")
        elif each.verdict != "pending":
            yield style.mark("~", line)
    pending = sum(each.verdict == "pending" and not each.acknowledged for each in found)
    if pending:
        yield f"pending: {pending} declared, but not applied yet"
    if found:
        yield ""


def check_lines(checks: Sequence[Check], style: Style) -> Iterable[str]:
    """The checks of `verify` as a table; those that are not ok stand out."""
    rows = [
        (
            each.endpoint.host,
            f"{each.endpoint.service} {each.endpoint.port}",
            _under(each),
            each.verdict,
            each.detail,
        )
        for each in checks
    ]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(4)]
    for row in rows:
        cells = "  ".join(printable(cell).ljust(width) for cell, width in zip(row, widths, strict=False))
        text = f"{cells}  {printable(row[4])}"
        yield text if row[3] == "ok" else style.mark("-" if row[3] == "wrong" else "~", text)


def name_lines(names: Sequence[NameCheck], style: Style) -> Iterable[str]:
    """What the DNS has of CAA for each name, and below it the record to publish where one is missing."""
    width = max((len(each.name) for each in names), default=0)
    for each in names:
        line = printable(f"{each.name.ljust(width)}  CAA  {each.verdict.ljust(7)}  {each.detail}")
        yield line if each.verdict == "ok" else style.mark("-" if each.verdict == "wrong" else "~", line)
        if each.record:
            yield f"    to publish: {printable(each.record)}"


def _under(check: Check) -> str:
    if check.seen_from != "outside":
        return check.seen_from
    return check.endpoint.name or "without a name"


def observation_lines(observation: Observation) -> Iterable[str]:
    """What was seen, host by host."""
    for host, reason in sorted(observation.unreachable.items()):
        yield f"? {printable(host)} could not be looked at: {printable(reason)}"
    for ref, seen in sorted(observation.seen.items(), key=lambda item: item[0]):
        if ref.host in observation.unreachable:
            continue
        yield printable(str(ref))
        if isinstance(seen, CannotSee):
            yield f"    cannot be seen: {printable(seen.reason)}"
        elif seen is None:
            yield "    absent"
        else:
            yield from (
                f"    {printable(name)}: {value_text(value)}"
                for name, value in seen.items()
                if name != "text"
            )


def run_lines(
    entries: Sequence[JournalEntry], style: Style, others: Sequence[tuple[datetime, str]] = ()
) -> Iterable[str]:
    """The runs, a line each, the newest last; and what was found between them. `others` are lines with the
    time that each stands at, oldest first."""
    waiting = deque(others)
    ends = {each.run: each.body for each in entries if each.what == "end"}
    listed = (each for each in entries if each.what in ("begin", "onset", "recovery", "refused"))
    # Findings of one look with the same verdict are one line.
    for _, group in groupby(
        listed, lambda e: (e.at[:16], e.environment, e.what, e.body.get("verdict"), e.run)
    ):
        first, *more = group
        while waiting and waiting[0][0] < datetime.fromisoformat(first.at):
            yield waiting.popleft()[1]
        at = _in_utc(first.at[:16])
        if first.what == "begin":
            end = ends.get(first.run)
            line = f"{at}  {printable(_run_text(first, end))}"
            yield line if end and end.get("code") == 0 else style.mark("~", line)
        else:
            rest = f"; and {len(more)} more" if more else ""
            yield style.dim(f"{at}  {printable(f'{first.environment}: {_finding_text(first)}{rest}')}")
    yield from (line for _, line in waiting)


def _in_utc(at: str) -> str:
    """A time of the journal, which keeps all of them in UTC, for people."""
    return f"{at.replace('T', ' ').removesuffix('+00:00')} UTC"


def _run_text(begin: JournalEntry, end: Mapping[str, Any] | None) -> str:
    body = begin.body
    how = "running, or interrupted" if end is None else end_text(end["code"])
    did = did_text(body["command"], body["actions"], body["approvers"])
    return f"run {begin.run}  {begin.environment}: {did}: {how}"


def did_text(command: str, actions: int, approvers: Sequence[str]) -> str:
    """What a run was for: `apply, 2 actions, approved by ada`."""
    approved = f", approved by {', '.join(approvers)}" if approvers else ""
    return f"{command}, {many(actions, 'action')}{approved}"


def end_text(code: int | None) -> str:
    """How a run went that ended with this code; None where it was interrupted."""
    return {None: "interrupted", 0: "done", 2: "done; the rest is waiting"}.get(code, f"ended with {code}")


def _finding_text(entry: JournalEntry) -> str:
    body = entry.body
    if entry.what == "refused":
        return f"refused: {'; '.join(body['reasons'])}"
    about = f"{body['verdict']}: {body['host']} {body['kind']} {body['name']}".rstrip()
    return f"resolved, {about}" if entry.what == "recovery" else f"{about}: {body['detail']}"


def entry_lines(entries: Sequence[JournalEntry], style: Style) -> Iterable[str]:
    """One run: what it started, and the result of each action."""
    lines = {
        "begin": _begin_lines, "locked": _lock_lines, "intent": _intent_lines, "outcome": _result_lines,
        "end": _end_lines,
    }  # fmt: skip
    for each in entries:
        at = _in_utc(each.at)
        first, *rest = lines[each.what](each) or ["nothing"]
        yield f"{at}  {printable(first)}"
        for line in rest:
            yield style.dim(f"    {printable(line)}") if line[0] == "$" else f"    {printable(line)}"


def _begin_lines(entry: JournalEntry) -> list[str]:
    body, commit = entry.body, entry.body.get("commit")
    dirty = ", with uncommitted changes" if commit and commit["dirty"] else ""
    where = f"commit {commit['id']}{dirty}" if commit else "in no git commit"
    lines = [f"run {entry.run} of {entry.environment}: {body['command']}", f"by {body['who']}"]
    lines += [f"file {body['file']}, {where}", f"plan {body['digest']}"]
    return [*lines, *(f"approved by {who}" for who in body["approvers"])]


def _lock_lines(entry: JournalEntry) -> list[str]:
    lost = [f"cannot be reached: {host}: {why}" for host, why in entry.body["lost"].items()]
    return [f"locked {', '.join(entry.body['hosts'])}", *lost]


def _intent_lines(entry: JournalEntry) -> list[str]:
    passed = entry.body.get("passed", ())  # earlier versions have not written them
    without = (f"without {each['host']} {each['kind']} {each['name']}: {each['why']}" for each in passed)
    lines = ["started", *without]
    for each in entry.body["actions"]:
        lines.append(f"{each['verb']} {each['host']} {each['kind']} {each['name']}")
        lines += [f"$ {step}" for step in each["steps"]]
    return lines


def _result_lines(entry: JournalEntry) -> list[str]:
    return ["results"] + [
        f"{one['result']}: {one['host']} {one['kind']} {one['name']}"
        + (f": {one['detail']}" if one["detail"] else "")
        for one in entry.body["outcomes"]
    ]


def _end_lines(entry: JournalEntry) -> list[str]:
    left = [f"interrupted at {ref}; its result is not known" for ref in entry.body.get("unfinished", ())]
    return [end_text(entry.body["code"]), *entry.body.get("lines", ()), *left]


def verdict_lines(verdicts: Sequence[Verdict]) -> Iterable[str]:
    """Whether each run went as the model of a rollout has it: those that did not one by one."""
    count = Counter(each.result for each in verdicts)
    if verdicts:
        yield f"{many(count['path'], 'run')} of {len(verdicts)} went by the rules of a rollout."
    for reason in dict.fromkeys(each.detail for each in verdicts if each.result == "recorded"):
        runs = [str(each.run) for each in verdicts if each.detail == reason]
        shown = f"{runs[0]} to {runs[-1]}" if len(runs) > 3 else ", ".join(runs)
        yield f"{many(len(runs), 'run')} ({shown}): as far as the journal tells; it {reason}"
    for each in verdicts:
        if each.result == "deviation":
            where = f"entry {each.entry}, run {each.run} of {each.environment}"
            yield printable(f"{where}, goes against them {Message.NO_PATH}: {each.detail}")


def outcome_lines(report: Report, style: Style) -> Iterable[str]:
    """The result of each action that is not done, and the count of all."""
    for each in report.outcomes:
        if each.result != "done":
            text = printable(each.detail.replace("\n", " | "))
            yield style.mark("-", f"{each.result}: {printable(str(each.ref))}") + f": {text}"
    for ref in report.partial:
        if ref.host in report.left.unreachable:
            yield f"state unknown: {printable(str(ref))}; apply again once its host can be reached"
        else:
            yield f"neither as before nor as desired: {printable(str(ref))}; check it by hand"
    for ref in report.needless:
        yield f"needed no action: {printable(str(ref))}; it came about without one"
    yield from incomplete_lines(report.left)
    count = Counter(each.result for each in report.outcomes)
    if report.needless:
        count["needed no action"] = len(report.needless)
    counts = ", ".join(f"{number} {result}" for result, number in count.items())
    yield f"Apply: {counts or 'nothing to do'}."
