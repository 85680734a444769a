"""`reconcile approve`, and whose approval of a plan counts when it is applied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from reconciler.approval import signatures
from reconciler.approval.signatures import Judged, NoSignature
from reconciler.cli import session
from reconciler.cli.session import Code, CommandError, Options
from reconciler.clock import utc_now
from reconciler.environment.settings import Environment
from reconciler.messages import Message
from reconciler.output import documents
from reconciler.output import text as report


def approve(file: Path, key: Path | None, options: Options) -> int:
    """Shows a saved plan and signs its digest; the signature goes into a file beside it."""
    document = session.read(file)
    plan = session.saved_plan(file, document)
    expires = session.expiry(document)
    if expires <= utc_now():
        raise CommandError(
            Code.STALE, f"{file}: the plan expired at {document['expires']} {Message.EXPIRED}; make a new one"
        )
    if not options.json:
        session.print_lines(report.plan_lines(plan, options.paper))
    beside = signatures.beside(file)
    try:
        text = signatures.statement(document, expires, utc_now())
        approval = signatures.sign(text, key or signatures.default_key())
        signatures.add(beside, approval)
    except NoSignature as error:
        raise CommandError(Code.ERROR, f"not approved: {error}") from None
    except OSError as error:
        raise CommandError(
            Code.ERROR, f"not approved: {beside} cannot be written ({error.strerror})"
        ) from None
    if options.json:
        session.print_json(documents.approval_document(document, str(beside)))
    else:
        print(f"Approved {document['digest']} until {document['expires']}; the approval is in {beside}.")
    return Code.OK


def approvals(
    environment: Environment, file: Path, document: Mapping[str, Any], at: datetime
) -> Sequence[Judged]:
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
    try:
        found = signatures.read(signatures.beside(file))
        return signatures.judge(found, document, Path(allowed), at)
    except NoSignature as error:
        raise CommandError(Code.ERROR, str(error)) from None
    except OSError as error:
        raise CommandError(
            Code.ERROR, f"{signatures.beside(file)}: cannot be read ({error.strerror})"
        ) from None
