"""The plan as a diff to read, folded as in the terminal, and what could not be judged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from reconciler.model import VERBS, Action, Delta, Plan, Step
from reconciler.monitor import severity
from reconciler.output.entries import (
    OPEN,
    by_thing,
    entry_hosts,
    inline_values,
    line_counts,
    notes,
    parted,
    risk_lines,
    short_diff,
)
from reconciler.output.fold import Entry, by_subject, fold
from reconciler.output.html.facts import Facts
from reconciler.output.html.problems import by_reason, pending_words
from reconciler.output.html.text import badge, code, esc, section
from reconciler.output.text import incomplete_lines, many, value_text

LONG = 120
"""Characters of a value that are shown; a longer one is folded away."""

TONES = {"+": "plus", "~": "tilde", "-": "minus", "!": "bang"}


def pending(facts: Facts) -> str:
    """The section of the plan."""
    plan = facts.plan
    entries = fold(plan)
    body = [*_unseen(plan), *_risks(entries, plan)]
    for subject, group in by_subject(entries):
        body.append(_subject(subject or "others", group, facts, len(entries) <= OPEN))
    told = {note for each in entries for note in notes(each, plan)}
    left = dict.fromkeys(note for each in plan.notes.values() for note in each if note not in told)
    if left:
        body.append(
            f'<h3>Notes</h3><ul class="unseen">{"".join(f"<li>{esc(each)}</li>" for each in left)}</ul>'
        )
    return section("plan", "Pending plan", body, esc(pending_words(facts)))


def _unseen(plan: Plan) -> Iterable[str]:
    reachable = replace(plan, unreachable={})
    lines = [
        f"{', '.join(hosts)} could not be looked at: {reason}" for reason, hosts in by_reason(plan).items()
    ]
    lines += [line.removeprefix("? ") for line in incomplete_lines(reachable)]
    if lines:
        yield '<ul class="unseen">'
        yield from (f"<li>{badge(severity.WARN, 'not seen')} {esc(line)}</li>" for line in lines)
        yield "</ul>"


def _risks(entries: Sequence[Entry], plan: Plan) -> Iterable[str]:
    lines = "".join(f"<li>{esc(line)}</li>" for _, line in risk_lines(entries, plan))
    if lines:
        yield f'<ul class="risks">{lines}</ul>'


def _subject(subject: str, entries: Sequence[Entry], facts: Facts, unfolded: bool) -> str:
    actions = many(sum(len(each.actions) for each in entries), "action")
    names = ", ".join(
        dict.fromkeys(f"{VERBS[each.shown.verb]} {each.shown.ref.kind}" for each in by_thing(entries))
    )
    rows = "".join(f"<li>{_entry(each, facts)}</li>" for each in entries)
    return (
        f'<details class="subject"{" open" if unfolded else ""}><summary><strong>{esc(subject)}</strong>'
        f' <span class="dim">{actions}: {esc(names)}</span></summary><ol class="plan">{rows}</ol></details>'
    )


def _entry(entry: Entry, facts: Facts) -> str:
    shown = entry.shown
    symbol, ref = VERBS[shown.verb], shown.ref
    head = (
        f'<p class="entry"><span class="symbol {TONES[symbol]}" aria-hidden="true">{esc(symbol)}</span>'
        f"<span><strong>{esc(shown.verb)}</strong> {esc(ref.kind)} {code(ref.name)}"
        f' <span class="dim">{esc(entry_hosts(entry, facts.plan))}</span></span></p>'
    )
    return f'{head}<div class="body">{"".join(_body(entry, facts))}</div>'


def _body(entry: Entry, facts: Facts) -> Iterable[str]:
    shown = entry.shown
    if shown.blocked:
        yield f"<p>{badge(severity.BAD, 'refused')} {esc(shown.blocked)}</p>"
    inline, others = parted(shown)
    values = [each for each in inline if each.text is None]
    if values:
        yield f'<p class="values">{" · ".join(_value(each, shown.verb) for each in values)}</p>'
    yield from (_long_text(each) for each in inline if each.text is not None)
    if others:
        yield f"<dl>{''.join(_deltas(others))}</dl>"
    known = facts.acknowledged
    why = dict.fromkeys(known[each.ref] for each in entry.actions if each.ref in known)
    told = [("Note", each) for each in notes(entry, facts.plan)] + [("Acknowledged", each) for each in why]
    for title, text in told:
        yield f'<p class="noted"><strong>{title}:</strong> {esc(text)}</p>'
    yield from _commands(shown)


def _value(delta: Delta, verb: str) -> str:
    return f'<span class="dim">{esc(delta.field)}:</span> {_folded(inline_values(delta, verb))}'


def _folded(value: str) -> str:
    if len(value) <= LONG:
        return f"<code>{esc(value)}</code>"
    return f"<details><summary>{len(value)} characters</summary><code>{esc(value)}</code></details>"


def _long_text(delta: Delta) -> str:
    summary = f"{esc(delta.field)}: {esc(line_counts(delta.text or ''))}"
    return f"<details><summary>{summary}</summary>{_diff(delta.text or '')}</details>"


def _deltas(deltas: Iterable[Delta]) -> Iterable[str]:
    """Fields that change from the same to the same stand together."""
    alike: dict[object, list[Delta]] = {}
    for each in deltas:
        alike.setdefault((each.seen, each.want, each.text), []).append(each)
    for group in alike.values():
        yield _delta(group[0], ", ".join(each.field for each in group))


def _delta(delta: Delta, fields: str) -> str:
    name = f"<dt>{esc(fields)}</dt>"
    if delta.text is not None:
        return f"{name}<dd>{_diff(delta.text)}</dd>"
    old = f"<del>{esc(value_text(delta.seen))}</del>" if delta.seen is not None else ""
    new = f"<ins>{esc(value_text(delta.want))}</ins>" if delta.want is not None else ""
    return f"{name}<dd>{old}{' ' if old and new else ''}{new}</dd>"


def _diff(text: str) -> str:
    tags = {"+": "ins", "-": "del"}
    lines = ((tags.get(symbol, "span"), line) for symbol, line in short_diff(text))
    return f'<div class="diff">{"".join(f"<{tag}>{esc(line)}</{tag}>" for tag, line in lines)}</div>'


def _commands(action: Action) -> Iterable[str]:
    if action.steps:
        yield f"<details><summary>{many(len(action.steps), 'command')}</summary>"
        yield _steps(action.steps)
        if action.rescue:
            yield f"<h4>If one of them fails</h4>{_steps(action.rescue)}"
        if action.place:
            yield f'<p class="place">Asked for in {code(action.place)}</p>'
        yield "</details>"


def _steps(steps: Iterable[Step]) -> str:
    rows = "".join(f'<li><span class="dim">{esc(each.why)}</span>{_command(each)}</li>' for each in steps)
    return f'<ol class="steps">{rows}</ol>'


def _command(step: Step) -> str:
    fed = f" <<< ({step.fed} bytes)" if step.fed else ""
    lines = "".join(f"<span>{esc(line)}</span>" for line in f"{step.command}{fed}".split("\n"))
    return f'<code class="command">{lines}</code>'
