"""Asking the workers of a site by way of a stream, and the task to look."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from reconciler.cli.exit import Code, CommandError
from reconciler.cli.workplace import Workplace

if TYPE_CHECKING:
    from types import ModuleType

    from reconciler.environment.settings import Environment
    from reconciler.output.documents.tasks import AnswerDocument, TaskDocument

HOSTS = 25
"""Hosts in one task that looks: what is seen of them fits into a message of 1 MB, the server's default."""
WORKER = "a worker of the site"


def look_task(environment: Environment, site: str, hosts: Sequence[str], expires: datetime) -> TaskDocument:
    """A task to look at hosts of a site; see `hand_over` for the other one."""
    from reconciler.output.documents.tasks import TaskDocument

    return TaskDocument(
        id=new_task(),
        do="observe",
        environment=environment.name,
        site=site,
        digest=environment.digest,
        hosts=sorted(hosts),
        expires=expires.isoformat(timespec="seconds"),
    )


def new_task() -> str:
    """What a task is called."""
    return secrets.token_hex(16)


def stream() -> Any:
    """The module that knows nats-py. Raises `CommandError` where that is not installed."""
    try:
        from reconciler.fleet import stream as found
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "nats":
            raise
        raise CommandError(
            Code.LOCAL,
            "a site without a `gateway` is asked over NATS, and nats-py is not installed:"
            " pip install 'reconcile-certificates[nats]', or pipx inject reconcile-certificates nats-py",
        ) from None
    module: ModuleType = found
    return module


def ask_workers(
    environment: Environment, site: str, tasks: Sequence[TaskDocument], seconds: float
) -> Mapping[str, AnswerDocument | str]:
    """What the workers of a site answer, by the id of the task; or why that is no answer. Those without an
    answer within `seconds` are left out. Raises `HostError` where they could not be asked."""
    from reconciler.document import as_json
    from reconciler.fleet.reply import NoAnswer
    from reconciler.output.documents.tasks import read_answer

    found, given = stream(), {each.id: each for each in tasks}
    if environment.nats is None:
        raise NoAnswer(site, "the environment has no `nats:`")
    messages = {each.id: found.packed(as_json(each)) for each in tasks}
    try:
        answers = found.ask(environment.nats, f"{environment.name}.{site}", messages, seconds)
    except found.StreamError as error:
        raise NoAnswer(site, str(error)) from None
    read: dict[str, AnswerDocument | str] = {}
    for name, data in answers.items():
        try:
            read[name] = read_answer(found.unpacked(data), given[name])
        except ValueError as error:
            read[name] = str(error)
    return read


def called(environment: Environment, site: str) -> str:
    """What looks and acts at a site, in words."""
    gateway = environment.sites[site].gateway
    return f"{WORKER} {site}" if gateway is None else f"the gateway {gateway} of the site {site}"


def in_seconds(workplace: Workplace, seconds: float) -> datetime:
    """The time in so many seconds, in UTC."""
    return workplace.clock() + timedelta(seconds=seconds)
