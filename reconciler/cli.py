"""The command line: a table of contents. What each command does is in `commands.py`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from reconciler import __version__, applying, commands, reporting
from reconciler.outputs import Outputs
from reconciler.report import printable
from reconciler.session import Code, Options, Stop

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Keep a certificate, and everything that depends on it, right on a fleet of hosts.",
)

Env = Annotated[str, typer.Argument(metavar="ENV", help="A path, or NAME for environments/NAME.yaml.")]
Hosts = Annotated[list[str] | None, typer.Option("--host", help="Only this host; repeatable.")]
Only = Annotated[
    list[str] | None, typer.Option("--only", metavar="KIND[:NAME]", help="Only these resources; repeatable.")
]
Replace = Annotated[
    list[str] | None,
    typer.Option("--replace", metavar="certificate", help="Order another, though nothing is wrong with it."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
Parallel = Annotated[int, typer.Option("--parallel", min=1, max=1000, help="Hosts at a time.")]
Timeout = Annotated[
    int | None, typer.Option("--timeout", min=1, max=3600, help="Seconds to wait for a host's answer.")
]
NoColor = Annotated[bool, typer.Option("--no-color", help="No colours, as with NO_COLOR.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Say more on stderr.")]
Output = Annotated[Path | None, typer.Option("-o", "--output", help="Save it to this file.")]
Junit = Annotated[Path | None, typer.Option("--junit", help="Also write it as JUnit's XML.")]
Prometheus = Annotated[
    Path | None,
    typer.Option("--prometheus", help="Also write it for node_exporter's textfile collector."),
]
Markdown = Annotated[bool, typer.Option("--markdown", help="Print Markdown for a merge request.")]
Github = Annotated[bool, typer.Option("--github", help="Print annotations for GitHub Actions.")]


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    if version:
        print(f"reconcile {__version__}")
        raise typer.Exit


@app.command(help="Check environment files, without any host.")
def validate(envs: Annotated[list[str], typer.Argument(metavar="ENV...")], json: Json = False) -> None:
    raise typer.Exit(commands.validate(envs, as_json=json))


@app.command(help="Look at the hosts, and print or save what was seen.")
def observe(
    env: Env,
    output: Output = None,
    host: Hosts = None,
    only: Only = None,
    json: Json = False,
    parallel: Parallel = 32,
    timeout: Timeout = None,
    no_color: NoColor = False,
    verbose: Verbose = False,
) -> None:
    options = Options(host, only, None, json, parallel, timeout, no_color, verbose)
    raise typer.Exit(commands.observe(env, options, output))


@app.command(help="Show what apply would do. Changes nothing.")
def plan(
    env: Env,
    output: Output = None,
    seen: Annotated[
        Path | None, typer.Option("--seen", help="Plan from a saved observation, not from the hosts.")
    ] = None,
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="End with 2 where changes are pending.")
    ] = False,
    host: Hosts = None,
    only: Only = None,
    replace: Replace = None,
    json: Json = False,
    markdown: Markdown = False,
    github: Github = False,
    junit: Junit = None,
    parallel: Parallel = 32,
    timeout: Timeout = None,
    no_color: NoColor = False,
    verbose: Verbose = False,
) -> None:
    options = Options(host, only, replace, json, parallel, timeout, no_color, verbose)
    told = Outputs(junit=junit, markdown=markdown, github=github)
    raise typer.Exit(commands.plan(env, options, output, seen, told, detailed=detailed_exitcode))


@app.command(help="Print a saved plan again, also a stale one.")
def show(
    file: Annotated[Path, typer.Argument(metavar="PLAN")],
    json: Json = False,
    markdown: Markdown = False,
    github: Github = False,
    no_color: NoColor = False,
) -> None:
    options, told = Options(json=json, no_color=no_color), Outputs(markdown=markdown, github=github)
    raise typer.Exit(commands.show(file, options, told))


@app.command(help="Make the hosts as declared: plan, ask, act; or carry out a saved plan.")
def apply(
    env: Annotated[str, typer.Argument(metavar="ENV|PLAN", help="An environment, or a saved plan.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    host: Hosts = None,
    only: Only = None,
    replace: Replace = None,
    json: Json = False,
    parallel: Parallel = 32,
    timeout: Timeout = None,
    no_color: NoColor = False,
    verbose: Verbose = False,
) -> None:
    options = Options(host, only, replace, json, parallel, timeout, no_color, verbose)
    raise typer.Exit(applying.apply(env, options, yes=yes))


@app.command(help="Look and judge, for cron. Cannot change anything.")
def drift(
    env: Env,
    host: Hosts = None,
    only: Only = None,
    json: Json = False,
    markdown: Markdown = False,
    github: Github = False,
    junit: Junit = None,
    prometheus: Prometheus = None,
    parallel: Parallel = 32,
    timeout: Timeout = None,
    no_color: NoColor = False,
    verbose: Verbose = False,
) -> None:
    options = Options(host, only, None, json, parallel, timeout, no_color, verbose)
    raise typer.Exit(commands.drift(env, options, Outputs(junit, prometheus, markdown, github)))


@app.command(help="Ask every service, as a client would, whether it shows what was issued.")
def verify(
    env: Env,
    junit: Junit = None,
    prometheus: Prometheus = None,
    host: Hosts = None,
    json: Json = False,
    parallel: Parallel = 32,
    timeout: Timeout = None,
    no_color: NoColor = False,
    verbose: Verbose = False,
) -> None:
    options = Options(host, None, None, json, parallel, timeout, no_color, verbose)
    raise typer.Exit(commands.verify(env, options, Outputs(junit, prometheus)))


@app.command(help="Write one page about the environment, to read or to publish.")
def report(
    env: Env,
    output: Annotated[Path, typer.Option("-o", "--output", help="The HTML file.")],
    seen: Annotated[
        Path | None, typer.Option("--seen", help="Tell of a saved observation, not of the hosts as they are.")
    ] = None,
    parallel: Parallel = 32,
    timeout: Timeout = None,
    verbose: Verbose = False,
) -> None:
    options = Options(parallel=parallel, timeout=timeout, verbose=verbose)
    raise typer.Exit(reporting.report(env, options, output, seen))


def run(arguments: list[str]) -> int:
    """Runs one command line and returns its exit code; never a traceback for a mistake."""
    code = _ended(arguments)
    if code == Code.INTERRUPTED:
        print("interrupted; a host that is at a step finishes it, and begins no other", file=sys.stderr)
    return code


def _ended(arguments: list[str]) -> int:
    try:
        return int(app(arguments, prog_name="reconcile", standalone_mode=False) or 0)
    except typer.Exit as ended:
        return ended.exit_code
    except (typer.Abort, KeyboardInterrupt):  # or typer has made 130 of it by itself
        return Code.INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return Code.ERROR
    except Stop as stop:
        for line in stop.lines:  # some of it is what a host has said
            print(printable(line), file=sys.stderr)
        return stop.code
    except Exception as error:  # noqa: BLE001 - only click's own are taken, all others go on
        return _usage(error)


def _usage(error: Exception) -> int:
    """Usage errors are click's, and end with 64: 2 means "changes pending" here."""
    show, code = getattr(error, "show", None), getattr(error, "exit_code", None)
    if show is None or code is None:
        raise error
    show()
    return Code.USAGE if code == 2 else int(code)
