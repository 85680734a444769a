"""Whose approvals count, and for how many people: nobody approves a change of their own, and a person with
two names or two keys is one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from reconciler.approval.signatures import JudgedApproval, signs_as
from reconciler.journal.commit import Authors
from reconciler.messages import Message


def may_count(judged: JudgedApproval, authors: Authors, file: str, allowed: Path) -> JudgedApproval:
    """The same approval, which does not count where its approver is an author of the environment, or
    where that is not known. Raises `NoSignature`."""
    if judged.reason:
        return judged
    who = judged.approver
    if authors.unknown:
        why = f"whether {who} has changed {file} is not known: {authors.unknown}"
    elif any(_is_approver(judged, each, allowed) for each in authors.addresses):
        why = f"{who} has changed {file}, and nobody approves a change of their own"
    else:
        return judged
    return replace(judged, reason=f"{why} {Message.OWN_APPROVAL}")


def _is_approver(judged: JudgedApproval, address: str, allowed: Path) -> bool:
    """Whether a mail address is the approver's: by name, or as another name of the key."""
    return address.lower() == judged.approver.lower() or signs_as(judged.approval, address, allowed)


def people(judged: Iterable[JudgedApproval]) -> int:
    """How many people have given these approvals. Those that share a key or a name are one."""
    groups: list[set[str]] = []
    for each in judged:
        names = {f"key {each.key}", f"name {each.approver.lower()}"}
        same = [group for group in groups if group & names]
        groups = [group for group in groups if not group & names] + [names.union(*same)]
    return len(groups)
