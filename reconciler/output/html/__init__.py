"""The page of `reconcile report`: one file, no script, no request to anywhere. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files

from reconciler.output.html.facts import Event, Facts
from reconciler.output.html.pending import pending
from reconciler.output.html.services import bar, certificates, outside, services
from reconciler.output.html.text import badge, clock, esc
from reconciler.output.html.timeline import timeline
from reconciler.output.text import many, summary

__all__ = ["Event", "Facts", "page"]

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""What a browser may load for this page: nothing. An escape that was forgotten would run nothing."""


def page(facts: Facts) -> str:
    """The whole page, as HTML."""
    css = files(__package__).joinpath("style.css").read_text(encoding="utf-8")
    title = f"{esc(facts.environment)}: {_verdict(facts)[1]}"
    sections = (services(facts), certificates(facts), outside(facts), pending(facts), timeline(facts))
    body = "\n".join(part for part in sections if part)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>{css}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the content</a>
{_header(facts)}
<main id="main">
{body}
</main>
<footer><p>Made by <code>reconcile report</code>. It holds no secret and loads nothing.</p></footer>
</body>
</html>
"""


def _verdict(facts: Facts) -> tuple[str, str]:
    """How it stands, in a tone and a few words."""
    plan = facts.plan
    wrong = any(each.as_wanted is False for each in facts.served)
    wrong = wrong or any(each.verdict == "wrong" for each in facts.checks or ())
    if wrong:
        return "bad", "some services serve the wrong certificate"
    if plan.actions:
        return "warn", f"{many(len(plan.actions), 'action')} pending"
    if not plan.complete:
        return "warn", "checked partially"
    return "ok", "all well"


def _header(facts: Facts) -> str:
    tone, verdict = _verdict(facts)
    source = f", from {esc(facts.source)}" if facts.source else ""
    cards = "".join(_cards(facts))
    return f"""<header>
<p class="eyebrow">{esc(facts.router)}</p>
<h1>{esc(facts.environment)} {badge(tone, verdict)}</h1>
<p class="lead">{esc(summary(facts.plan))} <span class="dim">As of {clock(facts.when)}{source}.</span></p>
<nav aria-label="At a glance"><ul class="cards">{cards}</ul></nav>
</header>"""


def _cards(facts: Facts) -> Iterable[str]:
    first = facts.first_end
    if first:
        yield _card("services", "Certificate left", bar(facts, first), facts.tone(first))
    if facts.served:
        good = sum(each.as_wanted is True for each in facts.served)
        tone = "ok" if good == len(facts.served) else "warn"
        yield _card("services", "Services as desired", f"{good} of {len(facts.served)}", tone)
    hosts = len(facts.plan.hosts)
    seen = hosts - len(facts.plan.unreachable)
    yield _card("services", "Hosts looked at", f"{seen} of {hosts}", "ok" if seen == hosts else "warn")
    actions = len(facts.plan.actions)
    yield _card("plan", "Pending", many(actions, "action"), "warn" if actions else "ok")
    if facts.checks is not None:
        good = sum(each.verdict == "ok" for each in facts.checks)
        wrong = any(each.verdict == "wrong" for each in facts.checks)
        tone = "bad" if wrong else "ok" if good == len(facts.checks) else "warn"
        yield _card("checks", "Checks passed", f"{good} of {len(facts.checks)}", tone)


def _card(target: str, name: str, value: str, tone: str) -> str:
    return (
        f'<li><a class="card {tone}" href="#{target}"><span class="dim">{name}</span>'
        f' <span class="figure">{value}</span></a></li>'
    )
