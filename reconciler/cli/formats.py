"""In which forms a plan or checks are told, and the files that are written beside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from reconciler.cli import session
from reconciler.cli.session import Code, CommandError, Options
from reconciler.environment.settings import Environment
from reconciler.model import Observation, Plan
from reconciler.output import github, junit, markdown, prometheus, text
from reconciler.tls import status
from reconciler.tls.verify import Check


@dataclass(frozen=True)
class Formats:
    """The flags: two files, and two forms of what goes to stdout."""

    junit: Path | None = None
    prometheus: Path | None = None
    markdown: bool = False
    github: bool = False


def check(options: Options, outputs: Formats) -> None:
    """Raises `CommandError` for flags that exclude each other, before any host is asked."""
    forms = {"--json": options.json, "--markdown": outputs.markdown, "--github": outputs.github}
    given = [name for name, is_so in forms.items() if is_so]
    if len(given) > 1:
        raise CommandError(
            Code.USAGE, f"{' and '.join(given)}: stdout takes one of them; run `reconcile show` twice"
        )
    if outputs.prometheus and (options.host or options.only):
        why = "the file tells of the whole environment; leave --host and --only out"
        raise CommandError(Code.USAGE, f"--prometheus: {why}")


def tell_plan(plan: Plan, options: Options, outputs: Formats) -> None:
    """To stdout, in the form asked for: text, Markdown or annotations."""
    if outputs.markdown:
        print(markdown.merge_request_comment(plan), end="")
    elif outputs.github:
        session.print_lines(github.lines(plan))
    else:
        session.print_lines(text.plan_lines(plan, options.paper))


def write_plan(
    command: str, plan: Plan, outputs: Formats, environment: Environment, sight: Observation | None = None
) -> None:
    """The files that were asked for; raises `CommandError`."""
    if outputs.junit:
        session.write(outputs.junit, junit.plan_xml(command, plan))
    if outputs.prometheus and sight is not None:
        seen = status.from_observation(environment, sight)
        run = prometheus.MetricsInput(command, environment.name, datetime.now(UTC), seen, plan)
        write_prometheus(outputs.prometheus, run)


def write_checks(checks: Sequence[Check], outputs: Formats, environment: Environment) -> None:
    """The files that were asked for; raises `CommandError`."""
    if outputs.junit:
        session.write(outputs.junit, junit.checks_xml(environment.name, checks))
    if outputs.prometheus:
        seen = status.from_checks(checks)
        run = prometheus.MetricsInput("verify", environment.name, datetime.now(UTC), seen, checks=checks)
        write_prometheus(outputs.prometheus, run)


def write_prometheus(path: Path, run: prometheus.MetricsInput) -> None:
    """Replaces the file in one step, so that no collector reads half of it; raises `CommandError`."""
    try:
        before = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        before = ""
    except UnicodeDecodeError:
        raise CommandError(Code.ERROR, f"{path}: is no text file; it is left as it is") from None
    except OSError as error:
        raise CommandError(Code.ERROR, f"{path}: cannot be read ({error.strerror})") from None
    session.write(path, prometheus.metrics_text(run, prometheus.samples(before)))
