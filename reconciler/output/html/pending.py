"""The plan as a diff to read, and what could not be judged."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.model import VERBS, Action, Delta, Plan, Step
from reconciler.output.html.facts import Facts
from reconciler.output.html.text import badge, code, esc, section
from reconciler.output.text import diff_lines, incomplete_lines, many, summary, value_text

OPEN = 4
"""Actions that are shown unfolded; of more, one reads the list first."""

TONES = {"+": "plus", "~": "tilde", "-": "minus", "!": "bang"}


def pending(facts: Facts) -> str:
    """The section of the plan."""
    plan = facts.plan
    body = list(_unseen(plan))
    if plan.actions:
        unfolded = len(plan.actions) <= OPEN
        body.append('<ol class="plan">')
        body += [f"<li>{_action(action, unfolded)}</li>" for action in plan.actions]
        body.append("</ol>")
    note = esc(summary(plan))
    return section("plan", "Pending plan", body, note)


def _unseen(plan: Plan) -> Iterable[str]:
    lines = [line.removeprefix("? ") for line in incomplete_lines(plan)]
    if lines:
        yield '<ul class="unseen">'
        yield from (f"<li>{badge('warn', 'not seen')} {esc(line)}</li>" for line in lines)
        yield "</ul>"


def _action(action: Action, unfolded: bool) -> str:
    symbol = VERBS[action.verb]
    ref = action.ref
    head = (
        f'<span class="symbol {TONES[symbol]}" aria-hidden="true">{esc(symbol)}</span>'
        f'<span class="what"><strong>{esc(action.verb)}</strong> {esc(ref.kind)} {code(ref.name)}'
        f' <span class="dim">on {esc(ref.host)}</span></span>'
    )
    return (
        f"<details{' open' if unfolded else ''}><summary>{head}</summary>"
        f'<div class="body">{"".join(_body(action))}</div></details>'
    )


def _body(action: Action) -> Iterable[str]:
    if action.blocked:
        yield f"<p>{badge('bad', 'refused')} {esc(action.blocked)}</p>"
    yield "<dl>"
    yield from map(_delta, action.deltas)
    yield "</dl>"
    if action.steps:
        yield f"<details><summary>{many(len(action.steps), 'command')}</summary>"
        yield _steps(action.steps)
        if action.rescue:
            yield f"<h3>If one of them fails</h3>{_steps(action.rescue)}"
        yield "</details>"
    if action.place:
        yield f'<p class="place">Asked for in {code(action.place)}</p>'


def _delta(delta: Delta) -> str:
    name = f"<dt>{esc(delta.field)}</dt>"
    if delta.text is not None:
        lines = "".join(_line(*each) for each in diff_lines(delta.text))
        return f'{name}<dd><div class="diff">{lines}</div></dd>'
    old = f"<del>{esc(value_text(delta.seen))}</del>" if delta.seen is not None else ""
    new = f"<ins>{esc(value_text(delta.want))}</ins>" if delta.want is not None else ""
    return f"{name}<dd>{old}{' ' if old and new else ''}{new}</dd>"


def _line(symbol: str, line: str) -> str:
    tag = {"+": "ins", "-": "del"}.get(symbol, "span")
    return f"<{tag}>{esc(line)}</{tag}>"


def _steps(steps: Iterable[Step]) -> str:
    rows = "".join(f'<li><span class="dim">{esc(each.why)}</span>{_command(each)}</li>' for each in steps)
    return f'<ol class="steps">{rows}</ol>'


def _command(step: Step) -> str:
    fed = f" <<< ({step.fed} bytes)" if step.fed else ""
    lines = "".join(f"<span>{esc(line)}</span>" for line in f"{step.command}{fed}".split("\n"))
    return f'<code class="command">{lines}</code>'
