"""What was seen of the hosts as a JSON document, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from reconciler.document import UNSET, Document, Meta, Part, UnsetType, check_name, check_time, read
from reconciler.model import CannotSee, Observation, Ref, Seen, Value


def _one_of(*names: str) -> Meta:
    return Meta(extra_json_schema={"oneOf": [{"required": [name]} for name in names]})


class ObservedPart(Part, frozen=True, kw_only=True):
    """A resource as it was seen: `state`, or why it cannot be seen, `unknown`."""

    kind: str
    name: str
    state: (
        Annotated[dict[str, Value] | None, Meta(description="Field to value; null where it is absent.")]
        | UnsetType
    ) = UNSET
    unknown: Annotated[str, Meta(description="Why it cannot be seen.")] | UnsetType = UNSET

    def __post_init__(self) -> None:
        if (self.state is UNSET) == (self.unknown is UNSET):
            raise ValueError("expected either `state` or `unknown`")


class HostPart(Part, frozen=True, kw_only=True):
    """A host as it was seen: its `resources`, or why it could not be looked at, `unreachable`."""

    unreachable: Annotated[str, Meta(description="Why it could not be looked at.")] | UnsetType = UNSET
    resources: list[Annotated[ObservedPart, _one_of("state", "unknown")]] | UnsetType = UNSET

    def __post_init__(self) -> None:
        if (self.resources is UNSET) == (self.unreachable is UNSET):
            raise ValueError("expected either `resources` or `unreachable`")


class ObservationDocument(Document, frozen=True, kw_only=True):
    """What `reconcile observe` gives, and `plan --seen` takes. Holds no secret."""

    document: Literal["observation"] = "observation"
    environment: str
    looked: Annotated[str, Meta(description="When, in UTC (ISO 8601).")]
    file: str
    file_digest: (
        Annotated[str, Meta(description="The SHA-256 of the environment file, with what it includes.")]
        | UnsetType
    ) = UNSET
    sources: (
        Annotated[dict[str, str], Meta(description="The SHA-256 of each local file that it names.")]
        | UnsetType
    ) = UNSET
    program: Annotated[str, Meta(description="The version of reconcile that looked.")] | UnsetType = UNSET
    hosts: dict[str, Annotated[HostPart, _one_of("unreachable", "resources")]]

    def __post_init__(self) -> None:
        check_time("looked", self.looked)

    @property
    def moment(self) -> datetime:
        """When the hosts were looked at, in UTC."""
        return datetime.fromisoformat(self.looked).astimezone(UTC)


@dataclass(frozen=True)
class Copy:
    """What a machine looks by: its copy of an environment, and its version of the program."""

    file_digest: str
    sources: Mapping[str, str]
    program: str

    def other(self, document: ObservationDocument) -> str | None:
        """In what another machine that has looked differs, and what to do about it; None where in nothing."""
        if document.file_digest is UNSET or document.program is UNSET or document.program != self.program:
            theirs = "an earlier version" if document.program is UNSET else f"version {document.program}"
            return f"it has {theirs} of reconcile, and here is {self.program}; install the same"
        if document.file_digest != self.file_digest:
            return (
                f"its copy of the environment, {document.file}, is another"
                f" (SHA-256 {document.file_digest[:12]}…, here {self.file_digest[:12]}…);"
                " bring both to the same commit"
            )
        there = {} if document.sources is UNSET else document.sources
        names = sorted(name for name in {*there, *self.sources} if there.get(name) != self.sources.get(name))
        return f"its copy of {', '.join(names)} is another; bring both to the same commit" if names else None


def observation_document(
    environment: str,
    observation: Observation,
    *,
    file: str,
    looked: datetime,
    copy: Copy | None = None,
) -> ObservationDocument:
    """What was seen of each host; `file` is the environment's, and `copy` what it was looked by."""
    resources: dict[str, list[ObservedPart]] = {}
    for ref, seen in sorted(observation.seen.items(), key=lambda item: item[0]):
        if ref.host not in observation.unreachable:
            resources.setdefault(ref.host, []).append(_observed_part(ref, seen))
    return ObservationDocument(
        environment=environment,
        looked=looked.isoformat(timespec="seconds"),
        file=file,
        file_digest=copy.file_digest if copy else UNSET,
        sources=dict(copy.sources) if copy else UNSET,
        program=copy.program if copy else UNSET,
        hosts={host: HostPart(unreachable=reason) for host, reason in sorted(observation.unreachable.items())}
        | {host: HostPart(resources=parts) for host, parts in resources.items()},
    )


def _observed_part(ref: Ref, seen: Seen) -> ObservedPart:
    if isinstance(seen, CannotSee):
        return ObservedPart(kind=ref.kind, name=ref.name, unknown=seen.reason)
    return ObservedPart(kind=ref.kind, name=ref.name, state=None if seen is None else dict(seen))


def read_observation(found: Any) -> ObservationDocument:
    """The observation in parsed JSON, its types checked. Raises `NotADocument`."""
    check_name(found, "observation", "an observation saved by `reconcile observe -o`")
    return read(ObservationDocument, found)


def observation_from(document: ObservationDocument) -> Observation:
    """What a document says was seen."""
    observation = Observation()
    for host, each in document.hosts.items():
        if each.unreachable is not UNSET:
            observation.unreachable[host] = each.unreachable
        for one in () if each.resources is UNSET else each.resources:
            observation.seen[Ref(host, one.kind, one.name)] = (
                one.state if one.state is not UNSET else CannotSee(str(one.unknown))
            )
    return observation
