"""A saved plan, and whether it may be applied here.

A plan says of which environment file it was made, and with which policy. What counts is what whoever
applies it has: a plan cannot bring its own rules.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from reconciler.approval import signatures
from reconciler.approval.authors import may_count
from reconciler.approval.precedent import unplanned
from reconciler.approval.signatures import JudgedApproval, NoSignature
from reconciler.approval.signed import differences, invalid_times
from reconciler.cli import files
from reconciler.cli.exit import Code, CommandError
from reconciler.cli.look import authors_of, origin
from reconciler.cli.options import say
from reconciler.cli.precedent import Precedent
from reconciler.cli.selection import open_environment
from reconciler.cli.workplace import Workplace
from reconciler.document import as_json
from reconciler.environment.load import InvalidEnvironment
from reconciler.environment.settings import Environment
from reconciler.journal.journal import Journal
from reconciler.messages import Message
from reconciler.model import Plan
from reconciler.output.documents.plan import PlanDocument, declared_from, plan_from


@dataclass(frozen=True)
class SavedPlan:
    """A saved plan, and its file."""

    file: Path
    document: PlanDocument
    plan: Plan


def is_plan(path: Path) -> bool:
    """Whether a file is taken for a saved plan, and not for an environment."""
    try:
        with path.open("rb") as file:
            return path.suffix == ".json" or file.read(1) == b"{"
    except OSError:
        return path.suffix == ".json"


def open_plan(file: Path) -> SavedPlan:
    """The plan in a file. Raises `CommandError`."""
    document = files.saved_plan(file, Code.NOT_APPROVED)
    return SavedPlan(file, document, plan_from(document))


def environment_of(saved: SavedPlan, env: str | None, workplace: Workplace) -> Environment:
    """The environment by which a saved plan is applied: the one that `--env` names, or else the one of
    its name in environments/, here. Never the file that the plan itself names. Raises `CommandError`."""
    if env is not None:
        return open_environment(env, workplace)
    here = Path("environments") / f"{saved.document.environment}.yaml"
    try:
        return workplace.load(str(here))
    except InvalidEnvironment as error:
        if here.exists():
            raise CommandError(Code.USAGE, *map(str, error.problems)) from None
    raise CommandError(
        Code.USAGE,
        f"{saved.file}: by which environment file? There is no {here} here (the plan was made from"
        f" {saved.document.file})",
        f"name it: `reconcile apply {saved.file} --env FILE`; nothing was done",
    )


def check(saved: SavedPlan, environment: Environment, precedent: Precedent, now: datetime) -> None:
    """Compares all that a plan says of its making with what is here. Raises `CommandError`."""
    document, here = as_json(saved.document), origin(environment)
    if saved.document.expiry <= now:
        why = f"{saved.file}: the plan expired at {saved.document.expires} {Message.EXPIRED}"
        raise CommandError(Code.STALE, why, "nothing was done; make a new plan")
    made = datetime.fromisoformat(saved.document.made)
    found = invalid_times(made, saved.document.expiry, environment.policy.expires, now)
    found += differences(
        document,
        {
            "environment": environment.name,
            "file_digest": here.file_digest,
            "sources": dict(here.sources),
            "policy": as_json(here.policy),
        },
        environment.file,
    )
    found += unplanned(precedent.declared, declared_from(saved.document), precedent.settings)
    if found:
        lines = (f"  {line}" for line in found)
        raise CommandError(
            Code.STALE, f"the plan is stale {Message.STALE}:", *lines, "nothing was done; make a new plan"
        )
    if document["commit"] != here.commit:
        then, current = (_commit(each) for each in (document["commit"], here.commit))
        say(f"it was planned at {then}, and this is {current}; {environment.file} is the same")


def _commit(commit: Mapping[str, Any] | None) -> str:
    if commit is None:
        return "no commit"
    return f"commit {commit['id'][:12]}{' with uncommitted changes' if commit['dirty'] else ''}"


def approvals(environment: Environment, saved: SavedPlan, at: datetime) -> Sequence[JudgedApproval]:
    """Who has approved a saved plan; and for each approval that does not count, why.

    Raises `CommandError`.
    """
    allowed = environment.policy.allowed_signers
    if allowed is None:
        return ()
    if not Path(allowed).is_file():
        raise CommandError(
            Code.USAGE,
            f"{environment.file}: `policy: allowed_signers` names {allowed}, and there is no such file",
        )
    author_may = environment.policy.author_may_approve
    return _judged(environment, saved, Path(allowed), at, author_may=author_may)


def former_approvals(
    environment: Environment, saved: SavedPlan, precedent: Precedent, journal: Journal, at: datetime
) -> Sequence[JudgedApproval] | None:
    """The approvals by those who could approve before the policy was changed, as it was: they, too, have to
    approve that. None where the same people can. Raises `CommandError`, `NoJournal`."""
    digest, author_may = precedent.former_signers, precedent.former_author_may
    same = (
        digest == precedent.policy["allowed_signers"] and author_may == environment.policy.author_may_approve
    )
    if not precedent.former_approvers or same:
        return None
    text = journal.text(digest) if digest else None
    if text is None:
        return ()
    with tempfile.NamedTemporaryFile(suffix=".signers") as file:
        file.write(text)
        file.flush()
        return _judged(environment, saved, Path(file.name), at, author_may=author_may)


def _judged(
    environment: Environment, saved: SavedPlan, allowed: Path, at: datetime, *, author_may: bool
) -> Sequence[JudgedApproval]:
    try:
        found = signatures.read(signatures.beside(saved.file))
        judged = signatures.judge(found, as_json(saved.document), allowed, at)
        if author_may:
            return judged
        authors = authors_of(environment)
        return [may_count(each, authors, environment.file, allowed) for each in judged]
    except NoSignature as error:
        raise CommandError(Code.LOCAL, str(error)) from None
    except OSError as error:
        raise CommandError(
            Code.LOCAL, f"{signatures.beside(saved.file)}: cannot be read ({error.strerror})"
        ) from None
