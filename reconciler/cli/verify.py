"""`reconcile verify`: do the services serve the certificate that was issued?"""

from __future__ import annotations

import typer

from reconciler.cli import files, formats
from reconciler.cli.checks import run_checks
from reconciler.cli.exit import Code, CommandError
from reconciler.cli.flags import (
    Env,
    Hosts,
    Json,
    Junit,
    LogFormat,
    NoColor,
    Parallel,
    Prometheus,
    Quiet,
    Timeout,
    Verbose,
)
from reconciler.cli.formats import Formats
from reconciler.cli.look import connected
from reconciler.cli.options import Options
from reconciler.cli.selection import open_environment, select
from reconciler.cli.workplace import Workplace
from reconciler.output import text
from reconciler.output.documents.results import verify_document
from reconciler.tls import brought
from reconciler.tls import verify as verification
from reconciler.tls.names import name_checks


def verify(
    context: typer.Context,
    env: Env,
    junit: Junit = None,
    prometheus: Prometheus = None,
    host: Hosts = None,
    json: Json = False,
    parallel: Parallel = 32,
    timeout: Timeout = None,
    no_color: NoColor = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
    log_format: LogFormat = "text",
) -> int:
    """Returns 0; 2 where a service is not as desired, or the DNS forbids the next renewal; 3 where one of
    them cannot be judged.

    Raises `CommandError`.
    """
    workplace: Workplace = context.obj
    options = Options(
        host=host, json=json, parallel=parallel, timeout=timeout,
        no_color=no_color, verbose=verbose, quiet=quiet, log_format=log_format,
    )  # fmt: skip
    outputs = Formats(junit=junit, prometheus=prometheus)
    formats.check(options, outputs)
    environment = open_environment(env, workplace)
    if not environment.owns_certificate and not brought.endpoints(environment):
        setting = "`manage` of its certificate" if environment.blueprint else "`blueprint`"
        why = f"there is nothing to verify: {setting} is false, and no consumer names a brought certificate"
        raise CommandError(Code.USAGE, f"{environment.file}: {why}")
    wanted = {*verification.KINDS, *brought.KINDS}
    resources = [r for r in select(environment, options, workplace) if r.kind in wanted]
    with connected(environment, resources, options, workplace) as fleet:
        observation = fleet.settle()
    release = verification.wanted(environment, observation)
    checks = run_checks(environment, options, observation, workplace)
    names = name_checks(environment, observation) if environment.owns_certificate else []
    formats.write_checks(checks, outputs, environment, workplace, names)
    if json:
        files.print_json(verify_document(environment.name, release, checks, names))
    elif not outputs.take_stdout:
        shown = [each for each in checks if not (quiet and each.verdict == "ok")]
        told = [each for each in names if not (quiet and each.verdict in ("ok", "open"))]
        style = formats.style(options, workplace)
        files.print_lines([*text.check_lines(shown, style), *text.name_lines(told, style)])
        if shown or told or not quiet:
            print(verification.summary(environment, checks, names))
    verdicts = {each.verdict for each in checks} | {each.verdict for each in names}
    return Code.CHANGES if "wrong" in verdicts else Code.INCOMPLETE if "unknown" in verdicts else Code.OK
