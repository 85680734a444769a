"""The flags that more than one command takes, each written once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Env = Annotated[str, typer.Argument(metavar="ENV", help="A path, or NAME for environments/NAME.yaml.")]
Envs = Annotated[
    list[str] | None, typer.Argument(metavar="ENV", help="Paths, or NAMEs for environments/NAME.yaml.")
]
All = Annotated[bool, typer.Option("--all", help="Every environments/*.yaml below the current folder.")]
Hosts = Annotated[
    list[str] | None,
    typer.Option(
        "--host",
        metavar="NAME",
        help="Only these hosts: names, first labels, groups, 'cn-*', or '!NAME' for the others; repeatable.",
    ),
]
Only = Annotated[
    list[str] | None,
    typer.Option(
        "--only",
        metavar="[HOST] KIND[:NAME]",
        help="Only these resources: each part may be a pattern; '!KIND' for all others; repeatable.",
    ),
]
Replace = Annotated[
    list[str] | None,
    typer.Option(
        "--replace",
        metavar="certificate[:NAME]",
        help="Order a new one even if nothing is wrong; named as with --only.",
    ),
]
Yes = Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
Parallel = Annotated[
    int, typer.Option("--parallel", metavar="N", min=1, max=1000, help="How many hosts at a time.")
]
Timeout = Annotated[
    int | None,
    typer.Option("--timeout", metavar="S", min=1, max=3600, help="Seconds to wait for a host's answer."),
]
NoColor = Annotated[bool, typer.Option("--no-color", help="No colours, as with NO_COLOR.")]
Verbose = Annotated[
    int,
    typer.Option(
        "-v", "--verbose", count=True, help="Say on stderr what each look took (-vv: each question)."
    ),
]
LogFormat = Annotated[
    str,
    typer.Option(
        "--log-format", metavar="text|json", help="How stderr is written: text, or a JSON object a line."
    ),
]
Quiet = Annotated[
    bool, typer.Option("-q", "--quiet", help="Print only what is wrong or asked for; no progress.")
]
QuietPlan = Annotated[
    bool, typer.Option("-q", "--quiet", help="Print only the counts of the plan, and what is wrong.")
]
QuietApply = Annotated[
    bool,
    typer.Option("-q", "--quiet", help="Print only what is wrong, and the plan if it asks; no progress."),
]
Summary = Annotated[bool, typer.Option("--summary", help="One line for each change.")]
Commands = Annotated[bool, typer.Option("--commands", help="Show the commands too.")]
Everything = Annotated[
    int,
    typer.Option(
        "-v",
        "--verbose",
        count=True,
        help="Show every action of every host with its commands; say what each look took (-vv: each step).",
    ),
]
Output = Annotated[
    Path | None, typer.Option("-o", "--output", metavar="FILE", help="Save it to this file; - is stdout.")
]
Seen = Annotated[
    Path | None,
    typer.Option("--seen", metavar="FILE", help="Use a saved observation instead of the hosts."),
]
Junit = Annotated[
    Path | None, typer.Option("--junit", metavar="FILE", help="Also write it as JUnit XML; - is stdout.")
]
Prometheus = Annotated[
    Path | None,
    typer.Option(
        "--prometheus",
        metavar="FILE",
        help="Also write it for node_exporter's textfile collector; - is stdout.",
    ),
]
Markdown = Annotated[bool, typer.Option("--markdown", help="Print Markdown for a merge request.")]
Github = Annotated[bool, typer.Option("--github", help="Print annotations for GitHub Actions.")]
Router = Annotated[
    str | None, typer.Option("--router", metavar="NAME", help="The name in front of all hosts.")
]
HostAddresses = Annotated[
    list[str] | None, typer.Option("--host", metavar="NAME[=ADDRESS]", help="A host; repeatable.")
]
Primary = Annotated[
    str | None, typer.Option("--primary", metavar="NAME", help="The host on which certbot runs.")
]
User = Annotated[str | None, typer.Option("--user", metavar="NAME", help="The account to log in with.")]
Port = Annotated[int | None, typer.Option("--port", metavar="N", min=1, max=65535, help="The port of sshd.")]
Identity = Annotated[
    str | None, typer.Option("--identity", metavar="FILE", help="The private key to log in with.")
]
Known = Annotated[
    str | None, typer.Option("--known-hosts", metavar="FILE", help="The file with the pinned host keys.")
]
Jump = Annotated[
    str | None,
    typer.Option(
        "--jump", metavar="[USER@]HOST[:PORT],…", help="The jump hosts to connect through, in their order."
    ),
]
