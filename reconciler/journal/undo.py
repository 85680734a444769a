"""What would undo a run: what the earlier file declared of what the run has touched. Pure.

Git is the truth: what undoes a change of the YAML is the YAML before it. What a run has only
repaired has no inverse here, for nobody declared what was there before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from reconciler import kinds
from reconciler.model import Ref, Resource


@dataclass(frozen=True)
class Inverse:
    """What would undo a run; and, by ref, why something of it has none."""

    resources: tuple[Resource, ...]
    without: Mapping[Ref, str]


def inverse(done: Mapping[Ref, str], then: Iterable[Resource], before: Iterable[Resource]) -> Inverse:
    """`done` are the refs that the run settled, with its verbs; `then` what its file declared,
    `before` what the file of the run before it did."""
    now_by, old_by = ({each.ref: each for each in some} for some in (then, before))
    reversible = {kind.kind for kind in kinds.DECLARABLE if kind.reversible}
    found: list[Resource] = []
    without: dict[Ref, str] = {}
    for ref, verb in done.items():
        mine, old = now_by.get(ref), old_by.get(ref)
        if ref.kind not in reversible:
            without[ref] = "a certificate or a proof cannot be undone; the next one replaces it"
        elif verb in ("reload", "restart"):
            without[ref] = f"a {verb} cannot be undone; what it loaded can be"
        elif old is not None and old == mine:
            without[ref] = (
                "the file asked for the same before: the run repaired a change made by somebody else"
            )
        elif old is not None:
            found.append(replace(old, needs=()))
        elif mine is not None and verb == "create":
            found.append(replace(mine, absent=True, needs=()))
        else:
            without[ref] = "no file before this run declared it, so its earlier state is not known"
    return Inverse(tuple(found), without)
