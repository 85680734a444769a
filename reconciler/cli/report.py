"""`reconcile report`: an HTML page about an environment, or one for each and one over all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated
from urllib.parse import quote as as_link

import typer

from reconciler.cli import files, formats
from reconciler.cli.exit import Code, CommandError, worst
from reconciler.cli.flags import (
    All,
    Envs,
    Json,
    LogFormat,
    Parallel,
    Quiet,
    Seen,
    Timeout,
    Verbose,
)
from reconciler.cli.formats import Formats
from reconciler.cli.options import Options, say
from reconciler.cli.page_facts import gather
from reconciler.cli.selection import named, open_environment
from reconciler.cli.workplace import Workplace
from reconciler.model import quote
from reconciler.output import html
from reconciler.output.documents.results import files_document

INDEX = "index.html"
Pages = Annotated[
    Path,
    typer.Option(
        "-o",
        "--output",
        metavar="FILE",
        help="The HTML file; - is stdout. For several environments, a folder.",
    ),
]
MaxAge = Annotated[
    int,
    typer.Option(
        "--max-age", metavar="HOURS", min=1, max=8760, help="From this age on, the page warns in red."
    ),
]
Refresh = Annotated[
    int | None,
    typer.Option(
        "--refresh",
        metavar="MINUTES",
        min=1,
        max=1440,
        help="Browsers load the page again this often; for one that cron makes anew.",
    ),
]


@dataclass(frozen=True, kw_only=True)
class _Request:
    """What was asked for, beside the environments. `max_age` and `refresh` are hours and minutes."""

    output: Path
    seen: Path | None
    max_age: int
    refresh: int | None
    options: Options
    workplace: Workplace

    def frame(self, what: str) -> html.Frame:
        """What holds of a page that is made now; `what` are the environments, as they were named."""
        output = "FILE" if self.output == files.STDOUT else self.output
        return html.Frame(
            made=self.workplace.clock(),
            max_age=timedelta(hours=self.max_age),
            refresh=timedelta(minutes=self.refresh) if self.refresh else None,
            again=f"reconcile report {what} -o {quote(str(output))}",
        )


def report(
    context: typer.Context,
    output: Pages,
    envs: Envs = None,
    everything: All = False,
    seen: Seen = None,
    max_age: MaxAge = 24,
    refresh: Refresh = None,
    json: Json = False,
    parallel: Parallel = 32,
    timeout: Timeout = None,
    verbose: Verbose = 0,
    quiet: Quiet = False,
    log_format: LogFormat = "text",
) -> int:
    """Returns 0, or 3 where a part could not be looked at; the page says which. Of several environments the
    largest of these, and of the codes of those that have no page. Raises `CommandError`."""
    workplace: Workplace = context.obj
    options = Options(
        json=json, parallel=parallel, timeout=timeout, verbose=verbose, quiet=quiet, log_format=log_format
    )
    formats.check(options, Formats(), output)
    request = _Request(
        output=output, seen=seen, max_age=max_age, refresh=refresh, options=options, workplace=workplace
    )
    several = named(envs, everything=everything)
    if len(several) > 1 or everything:
        return _each(several, "--all" if everything else " ".join(map(quote, several)), request)
    environment = open_environment(several[0], workplace)
    facts = gather(environment, request.frame(quote(several[0])), options, workplace, seen=seen)
    files.write(output, html.page(facts))
    if json:
        files.print_json(files_document(environment.name, {str(output): None}))
    elif not quiet and output != files.STDOUT:
        say(f"{output}: written; open it in a browser")
    return Code.OK if facts.plan.complete else Code.INCOMPLETE


def _each(envs: Sequence[str], what: str, request: _Request) -> int:
    """A page for each in a folder, and one over all of them; one without a page hides none of the others."""
    pages = _pages(envs, request)
    rows, codes, written = [], [], []
    for env, path in pages.items():
        row, code = _one(env, path, what, request)
        rows.append(row)
        codes.append(code)
        written += [path] if row.facts else []
    index = request.output / INDEX
    files.write(index, html.overview(request.frame(what), rows))
    if request.options.json:
        files.print_json(files_document("", {str(path): None for path in (index, *written)}))
    elif not request.options.quiet:
        say(f"{index}: written, with {len(written)} of {len(envs)} environments; open it in a browser")
    return worst(codes)


def _one(env: str, path: Path, what: str, request: _Request) -> tuple[html.Row, Code]:
    name = Path(env).stem
    try:
        environment = open_environment(env, request.workplace)
        facts = gather(environment, request.frame(what), request.options, request.workplace, overview=INDEX)
        files.write(path, html.page(facts))
    except CommandError as error:
        for line in error.lines:
            say(line)
        return html.Row(name=name, errors=error.lines), error.code
    row = html.Row(name=name, page=as_link(path.name), facts=facts)
    return row, Code.OK if facts.plan.complete else Code.INCOMPLETE


def _pages(envs: Sequence[str], request: _Request) -> dict[str, Path]:
    """The file of each environment's page, in a folder that is there. Raises `CommandError`."""
    folder = request.output
    if request.seen:
        raise CommandError(Code.USAGE, "--seen: an observation is of one environment; name that one alone")
    if folder == files.STDOUT:
        raise CommandError(
            Code.USAGE, "-o -: several pages need a folder; stdout takes the page of one environment"
        )
    pages = {env: folder / f"{Path(env).stem}.html" for env in envs}
    taken = [folder / INDEX, *pages.values()]
    if twice := sorted({str(path) for path in taken if taken.count(path) > 1}):
        raise CommandError(Code.USAGE, f"{twice[0]}: two pages would have this name; give the files others")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(
            Code.USAGE,
            f"{folder}: is no folder ({error.strerror}); the pages of several environments need one",
        ) from None
    return pages
