"""The formats in which a plan or checks are printed, and the files that are written as well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.cli import files
from reconciler.cli.exit import Code, CommandError
from reconciler.cli.options import Options, say
from reconciler.cli.pager import page
from reconciler.cli.workplace import Workplace

if TYPE_CHECKING:
    from reconciler.approval.precedent import Declaration
    from reconciler.environment.rules import Policy
    from reconciler.environment.settings import Environment
    from reconciler.model import Observation, Plan
    from reconciler.output import prometheus
    from reconciler.output.plans import PlanText
    from reconciler.output.text import Style
    from reconciler.tls.names import NameCheck
    from reconciler.tls.verify import Check


@dataclass(frozen=True, kw_only=True)
class Formats:
    """The flags: two files, and two formats of what goes to stdout."""

    junit: Path | None = None
    prometheus: Path | None = None
    markdown: bool = False
    github: bool = False

    @property
    def take_stdout(self) -> bool:
        """Whether one of the files is stdout: nothing else goes there then."""
        return files.STDOUT in (self.junit, self.prometheus)


def style(options: Options, workplace: Workplace) -> Style:
    """Whether text for people has colours."""
    from reconciler.output.text import Style

    return Style(not options.no_color and workplace.has_colour())


def check(options: Options, formats: Formats, output: Path | None = None) -> None:
    """Refuses flags that exclude each other, before any host is asked. Raises `CommandError`."""
    flags = {
        "-o -": output == files.STDOUT,
        "--junit -": formats.junit == files.STDOUT,
        "--prometheus -": formats.prometheus == files.STDOUT,
        "--json": options.json,
        "--markdown": formats.markdown,
        "--github": formats.github,
    }
    check_stdout(flags)
    if formats.prometheus and (options.host or options.only):
        why = "the file describes the whole environment; leave out --host and --only"
        raise CommandError(Code.USAGE, f"--prometheus: {why}")


def check_stdout(flags: Mapping[str, bool]) -> None:
    """Refuses more than one flag of which each would print something. Raises `CommandError`."""
    given = [name for name, is_given in flags.items() if is_given]
    if len(given) > 1:
        raise CommandError(
            Code.USAGE, f"{' and '.join(given)}: stdout takes one of them; save it to a file for the other"
        )


def say_wrong(plan: Plan, options: Options) -> None:
    """Says on stderr what is wrong with a plan, where stdout is taken by a file."""
    from reconciler.output import plans
    from reconciler.output.text import Style

    for line in plans.wrong_lines(plan, plans.PlanText(style=Style(colour=False), scope=options.narrowing)):
        say(line)


def plan_text(
    plan: Plan, options: Options, workplace: Workplace, *, held: int = 0, asks: bool = False
) -> PlanText:
    """How a plan is printed here."""
    from reconciler.output.plans import Layers, PlanText

    layers = Layers(summary=options.summary, verbose=bool(options.verbose), commands=options.commands)
    return PlanText(
        style=style(options, workplace),
        layers=layers,
        scope=options.narrowing,
        held=held,
        width=workplace.width(),
        asks=asks,
    )


def held(plan: Plan, policy: Policy | None, declared: Sequence[Declaration]) -> int:
    """How many actions wait for an approval by this policy; without one none does."""
    from reconciler.approval.policy import needs_none

    if not (policy and policy.approvers):
        return 0
    known = {str(each.ref) for each in plan.actions} - {each.subject for each in declared}
    return sum(not needs_none(policy, action, known) for action in plan.actions)


def print_plan(
    plan: Plan,
    options: Options,
    formats: Formats,
    workplace: Workplace,
    policy: Policy | None = None,
    declared: Sequence[Declaration] = (),
    *,
    pages: bool = False,
    asks: bool = False,
) -> None:
    """Prints a plan in the format asked for: text, Markdown or annotations. `declared` is what differs
    from what was last approved; `pages`: in a pager where there is a terminal; `asks`: a question follows,
    and the plan is shown even if it is to be quiet. Where a file takes stdout, only what is wrong is said."""
    from reconciler.output.declared import declared_lines

    if formats.take_stdout:
        say_wrong(plan, options)
    elif formats.markdown:
        from reconciler.output import markdown

        print(markdown.merge_request_comment(plan), end="")
        if declared:
            files.print_lines(["", *(f"- {markdown.code(line)}" for line in declared_lines(declared))])
    elif formats.github:
        from reconciler.output import github

        files.print_lines(github.lines(plan))
    else:
        from reconciler.output import plans

        if options.quiet and not asks:
            brief = plans.brief_lines(plan, plan_text(plan, options, workplace))
            files.print_lines([*brief, *declared_lines(declared)])
            return
        shown = plan_text(plan, options, workplace, held=held(plan, policy, declared), asks=asks)
        lines = [*plans.plan_lines(plan, shown), *declared_lines(declared)]
        if not (pages and workplace.is_terminal() and page(lines)):
            files.print_lines(lines)


def write_plan(
    command: str,
    plan: Plan,
    formats: Formats,
    environment: Environment,
    workplace: Workplace,
    observation: Observation | None = None,
) -> None:
    """Writes the files that were asked for. Raises `CommandError`."""
    if formats.junit:
        from reconciler.output import junit

        files.write(formats.junit, junit.plan_xml(command, plan))
    if formats.prometheus and observation is not None:
        from reconciler.output.prometheus import MetricsInput
        from reconciler.tls import status

        served = status.from_observation(environment, observation)
        write_prometheus(
            formats.prometheus, MetricsInput(command, environment.name, workplace.clock(), served, plan)
        )


def write_checks(
    checks: Sequence[Check],
    formats: Formats,
    environment: Environment,
    workplace: Workplace,
    names: Sequence[NameCheck] = (),
) -> None:
    """Writes the files that were asked for. Raises `CommandError`."""
    from reconciler.output import junit
    from reconciler.output.prometheus import MetricsInput
    from reconciler.tls import status

    if formats.junit:
        files.write(formats.junit, junit.checks_xml(environment.name, checks, names))
    if formats.prometheus:
        served = status.from_checks(checks)
        run = MetricsInput("verify", environment.name, workplace.clock(), served, checks=checks, names=names)
        write_prometheus(formats.prometheus, run)


def write_prometheus(path: Path, run: prometheus.MetricsInput) -> None:
    """Replaces the file in one step, so that no collector reads half of it. Raises `CommandError`."""
    from reconciler.output import prometheus

    try:
        before = "" if path == files.STDOUT else path.read_text(encoding="utf-8")
    except FileNotFoundError:
        before = ""
    except UnicodeDecodeError:
        raise CommandError(Code.LOCAL, f"{path}: is not a text file; it was not changed") from None
    except OSError as error:
        raise CommandError(Code.LOCAL, f"{path}: cannot be read ({error.strerror})") from None
    files.write(path, prometheus.metrics_text(run, prometheus.samples(before)))
