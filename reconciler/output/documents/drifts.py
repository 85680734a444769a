"""What `drift` found of several environments, as a JSON document."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from reconciler.document import Document, Meta, Part


class DriftPart(Part, frozen=True, kw_only=True):
    """What `drift` found of one of several environments."""

    env: Annotated[str, Meta(description="As it was given, or the file that --all found.")]
    exit_code: int
    problems: Annotated[list[str], Meta(description="Why it could not be looked at.")]
    plan: Annotated[
        dict[str, Any] | None, Meta(description="The plan (plan.schema.json); null where there is none.")
    ]


class DriftsDocument(Document, frozen=True, kw_only=True):
    """What `reconcile drift --json` gives for several environments, or for --all."""

    document: Literal["drifts"] = "drifts"
    environments: list[DriftPart]
