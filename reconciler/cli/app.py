"""The command line: a table of contents. What each command does is in `commands.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reconciler import __version__
from reconciler.cli import apply as applying
from reconciler.cli import approve as approving
from reconciler.cli import commands, import_hosts
from reconciler.cli import cron as scheduling
from reconciler.cli import drift as drifting
from reconciler.cli import explain as explaining
from reconciler.cli import history as recalling
from reconciler.cli import report as reporting
from reconciler.cli.flags import (
    Env,
    Github,
    HostAddresses,
    Hosts,
    Identity,
    Json,
    Jump,
    Junit,
    Known,
    Markdown,
    NoColor,
    Only,
    Output,
    Parallel,
    Port,
    Primary,
    Prometheus,
    Replace,
    Router,
    Seen,
    Timeout,
    User,
    Verbose,
)
from reconciler.cli.formats import Formats
from reconciler.cli.session import Options

app = typer.Typer(
    add_completion=True,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Keep a certificate, and everything that depends on it, right on a fleet of hosts.",
)


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
    options = Options(host, only, None, None, json, parallel, timeout, no_color, verbose)
    raise typer.Exit(commands.observe(env, options, output))


@app.command(help="Show what apply would do. Changes nothing.")
def plan(
    env: Env,
    output: Output = None,
    seen: Seen = None,
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
    options = Options(host, only, replace, None, json, parallel, timeout, no_color, verbose)
    told = Formats(junit=junit, markdown=markdown, github=github)
    raise typer.Exit(commands.plan(env, options, output, seen, told, detailed=detailed_exitcode))


@app.command(help="Print a saved plan again, also a stale one.")
def show(
    file: Annotated[Path, typer.Argument(metavar="PLAN")],
    json: Json = False,
    markdown: Markdown = False,
    github: Github = False,
    no_color: NoColor = False,
) -> None:
    options, told = Options(json=json, no_color=no_color), Formats(markdown=markdown, github=github)
    raise typer.Exit(commands.show(file, options, told))


@app.command(help="Make the hosts as declared: plan, ask, act; or carry out a saved plan.")
def apply(
    env: Annotated[str, typer.Argument(metavar="ENV|PLAN", help="An environment, or a saved plan.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    auto: Annotated[
        bool, typer.Option("--auto", help="Do what policy allows without approval; tell of the rest.")
    ] = False,
    host: Hosts = None,
    only: Only = None,
    replace: Replace = None,
    json: Json = False,
    parallel: Parallel = 32,
    timeout: Timeout = None,
    no_color: NoColor = False,
    verbose: Verbose = False,
) -> None:
    options = Options(host, only, replace, None, json, parallel, timeout, no_color, verbose)
    raise typer.Exit(applying.apply(env, options, yes=yes, auto=auto))


@app.command(help="Sign a saved plan with an SSH key, so that it may be applied.")
def approve(
    file: Annotated[Path, typer.Argument(metavar="PLAN")],
    key: Annotated[
        Path | None,
        typer.Option(
            "--key", metavar="KEY", help="A private key, or a public one whose private half is in the agent."
        ),
    ] = None,
    json: Json = False,
    no_color: NoColor = False,
) -> None:
    raise typer.Exit(approving.approve(file, key, Options(json=json, no_color=no_color)))


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
    options = Options(host, only, None, None, json, parallel, timeout, no_color, verbose)
    raise typer.Exit(drifting.drift(env, options, Formats(junit, prometheus, markdown, github)))


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
    options = Options(host, None, None, None, json, parallel, timeout, no_color, verbose)
    raise typer.Exit(commands.verify(env, options, Formats(junit, prometheus)))


@app.command(help="Write one page about the environment, to read or to publish.")
def report(
    env: Env,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The HTML file.")],
    seen: Seen = None,
    json: Json = False,
    parallel: Parallel = 32,
    timeout: Timeout = None,
    verbose: Verbose = False,
) -> None:
    options = Options(json=json, parallel=parallel, timeout=timeout, verbose=verbose)
    raise typer.Exit(reporting.report(env, options, output, seen))


@app.command(help="What was done and noticed, from the journal of this machine.")
def history(
    run: Annotated[int | None, typer.Argument(metavar="[RUN]", help="One run, with all that it did.")] = None,
    env: Annotated[str | None, typer.Option("--env", metavar="ENV", help="Only of this environment.")] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Say whether anything in the journal was changed.")
    ] = False,
    json: Json = False,
    no_color: NoColor = False,
) -> None:
    raise typer.Exit(recalling.history(run, env, Options(json=json, no_color=no_color), verify=verify))


@app.command(help="Plan what would undo a run, where anything does.")
def rollback(
    run: Annotated[int, typer.Argument(metavar="RUN")],
    output: Output = None,
    json: Json = False,
    parallel: Parallel = 32,
    timeout: Timeout = None,
    no_color: NoColor = False,
    verbose: Verbose = False,
) -> None:
    options = Options(json=json, parallel=parallel, timeout=timeout, no_color=no_color, verbose=verbose)
    raise typer.Exit(recalling.rollback(run, options, output))


@app.command(help="Print the crontab line, or the systemd units, that run it unwatched.")
def cron(
    env: Env,
    auto: Annotated[bool, typer.Option("--auto", help="For `apply --auto` instead of `drift`.")] = False,
    systemd: Annotated[bool, typer.Option("--systemd", help="Units for systemd.")] = False,
    minutes: Annotated[int, typer.Option("--minutes", metavar="N", min=1, max=1440, help="How often.")] = 15,
    jitter: Annotated[
        int,
        typer.Option(
            "--jitter", metavar="S", min=0, max=3600, help="Seconds, at most, that it waits at random."
        ),
    ] = 120,
    json: Json = False,
) -> None:
    every = scheduling.Every(minutes, jitter)
    raise typer.Exit(scheduling.cron(env, every, Options(json=json), auto=auto, systemd=systemd))


@app.command(help="Show who holds the lock of each host; end that only when told.")
def unlock(
    env: Env,
    end: Annotated[bool, typer.Option("--break", help="End the processes that hold it.")] = False,
    host: Hosts = None,
    json: Json = False,
    parallel: Parallel = 32,
    timeout: Timeout = None,
) -> None:
    options = Options(host=host, json=json, parallel=parallel, timeout=timeout)
    raise typer.Exit(scheduling.unlock(env, options, end=end))


@app.command(help="Tell why a resource is as it is: who wants it, what was seen, what it waits for.")
def explain(
    env: Env,
    ref: Annotated[
        list[str], typer.Argument(metavar="REF", help="HOST KIND NAME as the plan prints it, or KIND:NAME.")
    ],
    seen: Seen = None,
    host: Annotated[
        list[str] | None, typer.Option("--host", metavar="NAME", help="Where REF is; repeatable.")
    ] = None,
    json: Json = False,
    parallel: Parallel = 32,
    timeout: Timeout = None,
    no_color: NoColor = False,
    verbose: Verbose = False,
) -> None:
    options = Options(host, None, None, None, json, parallel, timeout, no_color, verbose)
    raise typer.Exit(explaining.explain(env, ref, options, seen))


@app.command(help="Print the order of the resources as a drawing's text. Needs no host.")
def graph(
    env: Env,
    form: Annotated[
        str | None,
        typer.Option("--format", metavar="mermaid|dot", help="For which program; mermaid otherwise."),
    ] = None,
    host: Hosts = None,
    only: Only = None,
    json: Json = False,
) -> None:
    raise typer.Exit(explaining.graph(env, Options(host, only, json=json), form))


@app.command(help="Write a first environment file; asks for what no flag gives.")
def init(
    output: Output = None,
    name: Annotated[str | None, typer.Option("--name", help="What the environment is called.")] = None,
    router: Router = None,
    host: HostAddresses = None,
    primary: Primary = None,
    user: User = None,
    port: Port = None,
    identity: Identity = None,
    known_hosts: Known = None,
    jump: Jump = None,
    administrators: Annotated[
        str | None, typer.Option("--administrators", help="The mail address to be told of a renewal.")
    ] = None,
    postgresql: Annotated[str | None, typer.Option("--postgresql", help="Its major version.")] = None,
    tomcat: Annotated[str | None, typer.Option("--tomcat", help="Its major version.")] = None,
    json: Json = False,
) -> None:
    flags = import_hosts.Flags(
        name, router, tuple(host or ()), primary, user, port, identity, known_hosts, jump,
        administrators=administrators, postgresql=postgresql, tomcat=tomcat,
    )  # fmt: skip
    raise typer.Exit(import_hosts.init(flags, output, Options(json=json)))


@app.command("import", help="Read live hosts, and write the environment file that declares them.")
def adopt(
    output: Output = None,
    name: Annotated[
        str | None, typer.Option("--name", help="What the environment is called; as hosts say, otherwise.")
    ] = None,
    router: Router = None,
    host: HostAddresses = None,
    primary: Primary = None,
    user: User = None,
    port: Port = None,
    identity: Identity = None,
    known_hosts: Known = None,
    jump: Jump = None,
    roots: Annotated[
        str | None, typer.Option("--roots", help="The roots of the CA, as PEM, if it is one of your own.")
    ] = None,
    json: Json = False,
    parallel: Parallel = 32,
    timeout: Timeout = None,
    no_color: NoColor = False,
    verbose: Verbose = False,
) -> None:
    flags = import_hosts.Flags(
        name, router, tuple(host or ()), primary, user, port, identity, known_hosts, jump, roots
    )
    options = Options(None, None, None, None, json, parallel, timeout, no_color, verbose)
    raise typer.Exit(import_hosts.adopt(flags, output, options))
