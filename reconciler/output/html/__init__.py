"""The pages of `reconcile report`: each one file that asks for nothing from anywhere. Pure."""

from __future__ import annotations

from reconciler.output.html.facts import Event, Facts, Frame
from reconciler.output.html.frame import aging, document
from reconciler.output.html.glance import glance
from reconciler.output.html.overview import Row, overview
from reconciler.output.html.pending import pending
from reconciler.output.html.problems import verdict
from reconciler.output.html.services import brought, certificates, outside, services
from reconciler.output.html.text import esc
from reconciler.output.html.timeline import timeline
from reconciler.output.text import utc

__all__ = ["Event", "Facts", "Frame", "Row", "overview", "page"]


def page(facts: Facts) -> str:
    """The page of one environment, as HTML. Its title says when that was so."""
    title = f"{esc(facts.status.environment)}: {verdict(facts)[1]} ({utc(facts.when)})"
    certified = (services(facts), certificates(facts), brought(facts))
    sections = (*certified, pending(facts), outside(facts), timeline(facts))
    body = aging(facts.frame, "\n".join(part for part in sections if part))
    return document(facts.frame, title, f'{glance(facts)}\n<main id="main">\n{body}\n</main>')
