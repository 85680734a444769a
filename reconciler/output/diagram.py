"""The order of resources as a drawing: text for Mermaid and for Graphviz. Pure.

An arrow leads from what comes first to what waits for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from reconciler.model import Ref
from reconciler.printable import printable

Order = Mapping[Ref, Sequence[Ref]]
"""For each resource, those that must be settled before it, as `graph.reduced` makes it."""


def mermaid(environment: str, order: Order) -> Iterable[str]:
    """A flowchart as Mermaid draws it, a box around each host (mermaid.js.org, Flowcharts)."""
    yield f"%% {environment}: an arrow leads from what comes first to what waits for it"
    yield "flowchart LR"
    numbers = _numbers(order)
    for number, (host, refs) in enumerate(_by_host(order).items(), start=1):
        yield f'  subgraph h{number}["{_entity(host)}"]'
        yield from (f'    n{numbers[ref]}["{_entity(f"{ref.kind} {ref.name}")}"]' for ref in refs)
        yield "  end"
    yield from (f"  n{first} --> n{then}" for first, then in _arrows(order, numbers))


def dot(environment: str, order: Order) -> Iterable[str]:
    """A digraph as Graphviz draws it, a box around each host (graphviz.org, DOT Language)."""
    yield "// an arrow leads from what comes first to what waits for it"
    yield f'digraph "{_escaped(environment)}" {{'
    yield "  rankdir=LR; node [shape=box];"
    numbers = _numbers(order)
    for number, (host, refs) in enumerate(_by_host(order).items(), start=1):
        yield f"  subgraph cluster_{number} {{"
        yield f'    label="{_escaped(host)}";'
        yield from (f'    n{numbers[ref]} [label="{_escaped(f"{ref.kind} {ref.name}")}"];' for ref in refs)
        yield "  }"
    yield from (f"  n{first} -> n{then};" for first, then in _arrows(order, numbers))
    yield "}"


FORMATS: Mapping[str, Callable[[str, Order], Iterable[str]]] = {"mermaid": mermaid, "dot": dot}


def _numbers(order: Order) -> dict[Ref, int]:
    return {ref: number for number, ref in enumerate(sorted(order), start=1)}


def _by_host(order: Order) -> dict[str, list[Ref]]:
    hosts: dict[str, list[Ref]] = {}
    for ref in sorted(order):
        hosts.setdefault(ref.host, []).append(ref)
    return hosts


def _arrows(order: Order, numbers: Mapping[Ref, int]) -> list[tuple[int, int]]:
    return sorted((numbers[first], numbers[then]) for then, before in order.items() for first in before)


def _entity(text: str) -> str:
    """Mermaid's own way to write what it would take for markup."""
    marks = {"#": "#35;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "&": "#amp;", "`": "#96;"}
    return "".join(marks.get(char, char) for char in printable(text))


def _escaped(text: str) -> str:
    return printable(text).replace("\\", "\\\\").replace('"', '\\"')
