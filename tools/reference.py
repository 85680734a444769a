"""The reference in docs/, made from the program itself: commands, settings, kinds, documents, messages.

`python -m tools.reference .` writes it into a checkout; a test compares.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import typer

from reconciler.cli import usage
from reconciler.cli.app import app
from reconciler.cli.contents import COMMON, ENTRIES, GROUPS, VARIABLES, Description
from reconciler.cli.exit import MEANINGS
from reconciler.environment.schema import environment_schema, kind_schema, needed
from reconciler.forecast.rules import RULES
from reconciler.kinds import DECLARABLE, KINDS
from reconciler.messages import Message
from tools.schemas import DOCUMENTS, document_schema, inlined

ROOT = Path(__file__).resolve().parent.parent
MADE = "Made by `make schemas`"


def commands() -> dict[str, Any]:
    """Every command by its name, as click has it."""
    found: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    return found


def flags(command: Any) -> Iterator[tuple[str, str]]:
    """Each flag as its help writes it (`--host TEXT`), and what it is for."""
    context = command.context_class(command)
    for each in command.params:
        if not _is_argument(each):
            yield usage.record(each, context)


def _is_argument(param: Any) -> bool:
    return bool(param.param_type_name == "argument")


def commands_page() -> str:
    """docs/commands.md: every command with its flags, examples and exit codes, below its group."""
    lines = ["# Commands", "", f"{MADE} from the command line itself."]
    found = commands()
    for heading, entries in GROUPS.items():
        lines += ["", f"## {heading}"]
        for name, entry in entries.items():
            lines += ["", f"### {name}", "", *_command(name, found[name], entry)]
    lines += ["", "## Exit codes", "", *_table(("code", "means"))]
    lines += [f"| {int(code)} | {text} |" for code, text in MEANINGS.items()]
    lines += ["", "## Environment variables", "", *_table(("variable", "is"))]
    lines += [f"| `{name}` | {text} |" for name, text in VARIABLES.items()]
    return "\n".join(lines) + "\n"


def _command(name: str, command: Any, entry: Description) -> Iterator[str]:
    usage_line = " ".join(["reconcile", name, *usage.arguments(command)])
    yield from (f"`{usage_line}`", "", entry.help, "")
    yield from _table(("flag", "does"))
    for flag, text in flags(command):
        yield f"| `{flag}` | {text} |".replace("mermaid|dot", "mermaid or dot")
    yield ""
    for line, why in entry.examples.items():
        yield f"- `{line}`: {why[0].lower()}{why[1:]}"
    codes = (f"{int(code)}: {text}" for code, text in entry.codes().items() if code not in COMMON[1:])
    yield from ("", f"Exit codes: {'; '.join(codes)}; and those of [all commands](#exit-codes).")


def spelled() -> str:
    """reconciler/cli/spelled.py: what completion knows of the command line without loading it."""
    kinds = sorted({kind.kind for kind in KINDS.values()})
    lines = [
        '"""Made by `make schemas` from the command line: what may be typed, for completion.',
        "",
        "Loading the command line itself would take twice as long as a TAB may.",
        '"""',
        "",
        "from __future__ import annotations",
        "",
        "from typing import NamedTuple",
        "",
        "",
        "class Spelled(NamedTuple):",
        '    """A command: its arguments, and its flags with what they take; "" where that is nothing."""',
        "",
        "    arguments: tuple[str, ...]",
        "    flags: dict[str, str]",
        "",
        "",
        "# fmt: off",
        "KINDS = (",
        *(f'    "{kind}",' for kind in kinds),
        ")",
        "COMMANDS = {",
    ]
    for name, command in commands().items():
        words = [f'"{each}"' for each in usage.arguments(command)]
        behind = ", ".join(words) + ("," if len(words) == 1 else "")
        lines += [f'    "{name}": Spelled(({behind}), {{']
        for flag, _ in [*flags(command), ("-h, --help", "")]:
            names, _, takes = re.sub(", -", ",-", flag).partition(" ")
            lines += [f'        "{each}": "{takes}",' for each in names.split(",")]
        lines += ["    }),"]
    return "\n".join([*lines, "}"]) + "\n"


def man_page() -> str:
    """reconcile.1, for man(7)."""
    lines = [
        '.TH RECONCILE 1 "" "reconcile" "User Commands"',
        ".SH NAME",
        r"reconcile \- keep a certificate, and everything that depends on it, correct on a fleet of hosts",
        ".SH SYNOPSIS",
        r".B reconcile",
        r"COMMAND [ARGUMENTS] [FLAGS]",
        ".SH COMMANDS",
    ]
    for name, command in commands().items():
        lines += [".SS " + _roff(" ".join([name, *usage.arguments(command)])), _roff(command.help or "")]
        for flag, text in flags(command):
            lines += [".TP", rf"\fB{_roff(flag)}\fR", _roff(text)]
        for line, why in ENTRIES[name].examples.items():
            lines += [".TP", _roff(line), _roff(why)]
    lines += [".SH EXIT STATUS"]
    for code, text in MEANINGS.items():
        lines += [".TP", str(int(code)), _roff(text)]
    lines += [".SH ENVIRONMENT"]
    for variable, text in VARIABLES.items():
        lines += [".TP", variable, _roff(text)]
    return "\n".join(lines) + "\n"


def _roff(text: str) -> str:
    escaped = text.replace("\\", r"\e").replace("-", r"\-").replace("`", "")
    return rf"\&{escaped}" if escaped[:1] in (".", "'") else escaped


def settings(schema: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every setting of the environment file by its path (`ssh.user`, `hosts[].name`), with its schema."""
    for name, each in schema.get("properties", {}).items():
        yield above + name, each
        yield from settings(each, f"{above}{name}.")
        items = each.get("items", {})
        for form in (items, items.get("then", {}), items.get("else", {})):
            yield from settings(form, f"{above}{name}[].")
        yield from settings(_named(each), f"{above}{name}.NAME.")


def _named(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema of what a mapping has by names of the reader's own; empty where it has none."""
    found = schema.get("additionalProperties")
    return found if isinstance(found, dict) else {}


def environment_page() -> str:
    """docs/environment.md: what stands at the top of the file, then each of its sections."""
    schema = environment_schema()
    lines = [
        "# The environment file",
        "",
        f"{MADE} from the [schema](../schemas/environment.schema.json), which editors complete by.",
        "A setting without a default may be left out. `resources` takes any of the [kinds](kinds.md).",
        "",
        *_settings({"required": schema["required"], "properties": schema["properties"]}),
    ]
    for path, each in settings(schema):
        for heading, section in _sections(path, each):
            lines += ["", f"## {heading}", "", section["description"], "", *_settings(section)]
    return "\n".join(lines) + "\n"


def _sections(path: str, each: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """What has settings of its own; an item of which there are two forms, by a key that it has, is two."""
    section = each.get("items") or _named(each) or each
    if "else" in section:
        (key,) = section["if"]["required"]
        yield f"{path}, with `{key}`", section["then"]
        yield f"{path}, without `{key}`", section["else"]
    elif "properties" in section:
        yield path, {**section, "description": each["description"]}


def _settings(section: Mapping[str, Any]) -> Iterator[str]:
    yield from _table(("setting", "type", "default", "is"))
    for name, each in section["properties"].items():
        default = "needed" if name in section.get("required", ()) else _default(each)
        yield _row(name, each, default)


def kinds_page() -> str:
    """docs/kinds.md: every kind and its options, from their classes."""
    lines = [
        "# Kinds",
        "",
        f"{MADE} from the classes in `reconciler/kinds/`, and `examples/kinds.yaml`. Every resource also",
        "takes `absent`, `hosts` and `needs`; an option without a default that is not needed means: leave it",
        "as it is.",
    ]
    for kind in DECLARABLE:
        schema = kind_schema(kind)
        example = kind_examples()[kind.kind]
        must = {*schema["required"], *(name for group in needed(kind) for name in group)}
        lines += ["", f"## {kind.kind}", "", " ".join((kind.__doc__ or "").split()), ""]
        lines += _table(("option", "type", "default", "is"))
        for name, each in schema["properties"].items():
            if name not in ("absent", "hosts", "needs"):
                default = "names it" if name == kind.kind else "needed" if name in must else _default(each)
                lines.append(_row(name, each, default))
        lines += ["", "```yaml", "resources:", *example, "```"]
    return "\n".join(lines) + "\n"


def kind_examples() -> dict[str, list[str]]:
    """The lines of the first resource of each kind in examples/kinds.yaml, as they are written there."""
    text = (ROOT / "examples" / "kinds.yaml").read_text(encoding="utf-8").partition("resources:\n")[2]
    blocks = (block.splitlines() for block in text.split("\n\n"))
    return {block[0].strip(" -").partition(":")[0]: block for block in blocks}


def documents_page() -> str:
    """docs/documents.md, from the classes of the documents."""
    lines = [
        "# Documents",
        "",
        f"{MADE} from their classes. Each command prints one of these with `--json`; webhooks get one.",
        "`version` grows when a field changes its meaning or goes; new fields may come without that.",
    ]
    for schema in map(inlined, map(document_schema, DOCUMENTS)):
        name = schema["properties"]["document"]["const"]
        lines += ["", f"## {name}", ""]
        lines += [
            f"{schema['description']} [Schema](../schemas/{name}.schema.json)",
            "",
            *_table(("field", "type", "is")),
        ]
        for path, each in settings(schema):
            if path not in ("version", "document"):
                lines.append(f"| `{path}` | {_type(each)} | {_cell(each.get('description', ''))} |")
    return "\n".join(lines) + "\n"


def messages_page() -> str:
    """docs/troubleshooting.md."""
    lines = [
        "# Troubleshooting, by message",
        "",
        f"{MADE} from `reconciler/messages.py`. A message that needs more than its own words carries",
        "a code in brackets; this is what it means, and what to do at three in the morning.",
        "`reconcile doctor ENV` checks what is needed, and prints the command that mends what is missing.",
    ]
    chapter = ""
    for each in Message:
        if each.chapter != chapter:
            chapter = each.chapter
            lines += ["", f"## {chapter}"]
        lines += ["", f"### {each.code}", "", f"{_sentence(each.what)} {_sentence(each.then)}"]
    lines += [
        "",
        "## And then",
        "",
        "Code 5 names what is neither as before nor as desired. Look at that host first; `reconcile history",
        "RUN` has the commands that ran there and what became of each. The next `apply` looks again and goes",
        "on from what it finds.",
    ]
    return "\n".join(lines) + "\n"


def forecast_page() -> str:
    """docs/forecast.md: every dated rule, with its source."""
    lines = [
        "# What is to come",
        "",
        f"{MADE} from `reconciler/forecast/rules.py`. `reconcile forecast ENV` tells which of these rules",
        "bite an environment within a year (`--at DATE`: until then), by its file and by what the last look",
        "has kept on this machine; it contacts no host. Where a rule needs what is not known here, it says",
        "so, and ends with 3. `drift` warns `notices: forecast` days ahead (90): of each rule once, and it",
        "ends as it would without. Who knows of it names the rule under `acknowledged:`, by the kind",
        "`forecast`.",
        "",
        "A rule may be outdated itself: its source was read on the day that stands there.",
        "",
        *_table(("rule", "from", "says", "what to do", "source", "read")),
    ]
    for each in RULES:
        link = f"[source]({each.source.url})" if "://" in each.source.url else f"`{each.source.url}`"
        cells = (f"`{each.id}`", each.begins or "its own day", each.what, each.do, link, each.source.read)
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines) + "\n"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _table(heads: Iterable[str]) -> list[str]:
    heads = list(heads)
    return [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]


def _row(name: str, schema: Mapping[str, Any], default: str) -> str:
    what = schema["description"] + (f" ({schema['x-want']})" if "x-want" in schema else "")
    if "maximum" in schema:
        what += f" ({schema['minimum']} to {schema['maximum']})"
    return f"| `{name}` | {_type(schema)} | {default} | {_cell(what)} |"


def _default(schema: Mapping[str, Any]) -> str:
    default = schema.get("default", "")
    if isinstance(default, list):
        return ", ".join(map(str, default))
    return str(default).lower() if isinstance(default, bool) else str(default)


def _type(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return _cell("|".join(map(str, schema["enum"])))
    if "const" in schema:
        return str(schema["const"])
    kinds = schema.get("type", "")
    return _cell(kinds if isinstance(kinds, str) else "|".join(kinds))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _json(schema: Mapping[str, Any]) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def written() -> Iterable[tuple[str, str]]:
    """The files, by their path in a checkout."""
    yield "schemas/environment.schema.json", _json(environment_schema())
    for schema in map(document_schema, DOCUMENTS):
        name = schema["properties"]["document"]["const"]
        yield f"schemas/{name}.schema.json", _json(schema)
    yield "reconciler/cli/spelled.py", spelled()
    yield "docs/commands.md", commands_page()
    yield "docs/reconcile.1", man_page()
    yield "docs/environment.md", environment_page()
    yield "docs/kinds.md", kinds_page()
    yield "docs/documents.md", documents_page()
    yield "docs/troubleshooting.md", messages_page()
    yield "docs/forecast.md", forecast_page()


def main() -> None:
    """Writes them into the checkout named on the command line."""
    root = Path(sys.argv[1])
    for name, text in written():
        (root / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
