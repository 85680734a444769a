"""The head of the page: until when, what is wrong, what is pending; then counts."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.monitor import severity
from reconciler.output.entries import risk_lines
from reconciler.output.fold import fold
from reconciler.output.html.facts import Facts
from reconciler.output.html.frame import aging, as_of, heading, stale_banner
from reconciler.output.html.problems import (
    Issue,
    checks_tone,
    hosts_tone,
    no_certificate,
    pending_tone,
    pending_words,
    problems,
    renewal_words,
    services_tone,
    verdict,
)
from reconciler.output.html.text import clock, day, days, esc, meter


def glance(facts: Facts) -> str:
    """The page's header."""
    status = facts.status
    back = f'<a href="{esc(facts.overview)}">All environments</a>' if facts.overview else ""
    above = " · ".join(each for each in (back, esc(status.router)) if each)
    return f"""<header>
{stale_banner(facts.frame)}
<p class="eyebrow">{above}</p>
{heading(facts.frame, status.environment, *verdict(facts))}
{as_of(facts.frame, facts.source)}
{aging(facts.frame, _blocks(facts))}
</header>"""


def _blocks(facts: Facts) -> str:
    return f"""<div class="glance">
{_valid(facts)}
{_wrong(problems(facts))}
{_pending(facts)}
</div>
<nav aria-label="Counts"><ul class="cards">{"".join(_cards(facts))}</ul></nav>"""


def _block(tone: str, title: str, body: str) -> str:
    return f'<div class="block {tone}"><h2>{title}</h2>{body}</div>'


def _valid(facts: Facts) -> str:
    status, times = facts.status, facts.status.certificate
    tone = severity.of_certificate(status, facts.when)
    if times is None:
        if not status.owns:
            return _block("note", "Certificate", "<p>It is not managed here.</p>")
        return _block(tone, "Valid until", f'<p class="words">{no_certificate(facts)}</p>')
    left = times.end - facts.when
    expired = left.total_seconds() < 0
    text = (
        f"expired {days(-left)} days ago" if expired else f"{days(left)} of {days(times.lifetime)} days left"
    )
    earlier = (
        f"<p>As it was seen {clock(times.seen)}; it could not be seen now.</p>"
        if times.seen < facts.when
        else ""
    )
    return _block(
        tone,
        "Valid until",
        f'<p class="figure">{day(times.end)}</p>'
        f"<p>{renewal_words(times, facts.when)}</p>{meter(tone, times.left(facts.when), text)}{earlier}",
    )


def _wrong(found: list[Issue]) -> str:
    if not found:
        return _block("ok", "Wrong", '<p class="words">nothing</p>')
    rows = "".join(
        f'<li class="{each.tone}"><a href="#{each.target}">{esc(each.text)}</a></li>' for each in found
    )
    return _block(found[0].tone, "Wrong or not known", f'<ul class="problems">{rows}</ul>')


def _pending(facts: Facts) -> str:
    risks = "".join(f"<li>{esc(line)}</li>" for _, line in risk_lines(fold(facts.plan), facts.plan))
    return _block(
        pending_tone(facts),
        "Pending",
        f'<p><a href="#plan">{esc(pending_words(facts))}</a></p>'
        + (f'<ul class="risks">{risks}</ul>' if risks else ""),
    )


def _cards(facts: Facts) -> Iterable[str]:
    if facts.served:
        good = sum(each.as_wanted is True for each in facts.served)
        yield _card("services", "Services as desired", good, len(facts.served), services_tone(facts))
    hosts = len(facts.plan.hosts)
    seen = hosts - len(facts.plan.unreachable)
    yield _card("services", "Hosts looked at", seen, hosts, hosts_tone(facts))
    if facts.checks is not None:
        good = sum(each.verdict == "ok" for each in facts.checks)
        yield _card("checks", "Checks passed", good, len(facts.checks), checks_tone(facts))


def _card(target: str, name: str, number: int, of: int, tone: str) -> str:
    return (
        f'<li><a class="card {tone}" href="#{target}"><span class="dim">{name}</span>'
        f' <span class="count">{number} of {of}</span></a></li>'
    )
