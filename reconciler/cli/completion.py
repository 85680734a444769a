"""What the shell asks for at each TAB, answered without Typer: from a table made beforehand, the YAML as it
is written, and the journal. No host is asked, and what cannot be read completes to nothing.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from reconciler.cli.spelled import COMMANDS, KINDS, Spelled

VARIABLE = "_RECONCILE_COMPLETE"
"""Set by the scripts that `--install-completion` installs (typer, `_completion_shared.py`)."""


def answered() -> bool:
    """Answers on stdout where bash, zsh or fish asks; False where nobody asks, or for other than words."""
    shell = os.environ.get(VARIABLE, "")
    if shell not in ("complete_bash", "complete_zsh", "complete_fish"):
        return False
    try:
        before, word = typed(shell, os.environ)
        found = sorted({each for each in candidates(before, word) if each.startswith(bare(word))})
    except Exception:  # noqa: BLE001 - whoever types a line is told nothing of a file that is broken
        before, word, found = [], "", []
    if os.environ.get("_TYPER_COMPLETE_FISH_ACTION") == "is-args":
        sys.exit(not found)
    text = as_zsh(found) if shell == "complete_zsh" else "\n".join(shown(found, word, shell))
    if text:
        print(text)
    return True


def typed(shell: str, environ: Mapping[str, str]) -> tuple[list[str], str]:
    """The words behind the program's name, and the one that is being typed."""
    if shell != "complete_bash":
        line = environ.get("_TYPER_COMPLETE_ARGS", "")
        words = [*_split(line), *([""] if not line or line[-1].isspace() else [])]
    else:
        line = environ["COMP_WORDS"]
        # The script puts a newline between the words, so that an empty one counts too.
        words = line.split("\n") if "\n" in line else _split(line)
        words = _rejoined([*words, ""][: int(environ["COMP_CWORD"]) + 1])
    return words[1:-1], words[-1]


def _split(line: str) -> list[str]:
    """Words as a shell has them; an open quotation is closed."""
    import shlex

    for end in ("", "'", '"'):
        try:
            return shlex.split(line + end)
        except ValueError:
            continue
    return line.split()


def _rejoined(words: Iterable[str]) -> list[str]:
    """Bash takes `:` and `=` for words of their own (COMP_WORDBREAKS of bash(1))."""
    found: list[str] = []
    glue = False
    for word in words:
        if found and len(found) > 1 and (word in (":", "=") or glue):
            found[-1] += word
        else:
            found.append(word)
        glue = word in (":", "=")
    return found


def bare(word: str) -> str:
    """What is typed without an opening quotation mark, and without the flag in front of `=`."""
    if word.startswith("--") and "=" in word:
        word = word.partition("=")[2]
    return word.lstrip("'\"")


def shown(found: Iterable[str], word: str, shell: str) -> list[str]:
    """The answers; for bash without what it does not replace: all up to the last `:` or `=`."""
    typed_already = bare(word)
    kept = typed_already.rpartition(":")[0] if shell == "complete_bash" else ""
    return [each[len(kept) + 1 :] if kept else each for each in found]


def as_zsh(found: Sequence[str]) -> str:
    """A line for zsh to evaluate, as Typer's own (typer, `_completion_classes.py`)."""
    marks = (('"', '""'), ("'", "''"), ("$", "\\$"), ("`", "\\`"), (":", r"\\:"))

    def escaped(text: str) -> str:
        for mark, instead in marks:
            text = text.replace(mark, instead)
        return text

    if not found:
        return "_files"
    words = "\n".join(f'"{escaped(each)}"' for each in found)
    return f"_arguments '*: :(({words}))'"


def candidates(before: Sequence[str], word: str) -> Iterable[str]:
    """What may stand where the word is being typed."""
    if not before:
        return ["--version", "--help", "--install-completion"] if word.startswith("-") else COMMANDS
    name, *rest = before
    if name not in COMMANDS:
        return ()
    command = COMMANDS[name]
    positional, values, open_flag = _walked(command, rest)
    if open_flag is None and word.startswith("--") and "=" in word:
        open_flag = word.partition("=")[0]
    if open_flag is not None:
        env = _environment(name, positional, values)
        return _of_flag(open_flag, command.flags.get(open_flag, ""), env, bare(word))
    if word.startswith("-"):
        return command.flags
    return _of_argument(name, positional, bare(word))


def _environment(name: str, positional: Sequence[str], values: Mapping[str, str]) -> str:
    """The environment that the line is about; "" where it names none."""
    if "--env" in values or not positional or name == "history":
        return values.get("--env", "")
    if name != "rollback":
        return positional[0]
    from reconciler.journal.glance import file_of

    return file_of(positional[0])


def _walked(command: Spelled, rest: Sequence[str]) -> tuple[list[str], dict[str, str], str | None]:
    """The arguments so far, the values of flags, and the flag that waits for its value."""
    positional: list[str] = []
    values: dict[str, str] = {}
    waiting: str | None = None
    for each in rest:
        flag, is_given, value = each.partition("=")
        if waiting is not None:
            values[waiting] = each
            waiting = None
        elif is_given and flag in command.flags:
            values[flag] = value
        elif each in command.flags:
            waiting = each if command.flags[each] else None
        elif not each.startswith("-"):
            positional.append(each)
    return positional, values, waiting


def _of_flag(flag: str, metavar: str, env: str, word: str) -> Iterable[str]:
    if flag == "--host" and metavar == "NAME":
        return _excluding(word, hosts(env))
    if flag == "--only":
        return _excluding(word, references(env, word.removeprefix("!")))
    if flag == "--replace":
        found = references(env, f"certificate{word.removeprefix('certificate')}")
        return (each for each in found if each.partition(":")[0] == "certificate")
    if metavar == "ENV":
        return environments()
    return metavar.split("|") if "|" in metavar else ()


def _of_argument(name: str, positional: Sequence[str], word: str) -> Iterable[str]:
    command = COMMANDS[name]
    if not command.arguments:
        return ()
    wanted = command.arguments[min(len(positional), len(command.arguments) - 1)]
    if len(positional) >= len(command.arguments) and not wanted.endswith("..."):
        return ()
    of: Mapping[str, Callable[[], Iterable[str]]] = {
        "ENV": environments,
        "ENV|PLAN": lambda: [*environments(), *plans(word)],
        "PLAN": lambda: plans(word),
        # What a run of another machine did is undone there.
        "RUN": runs if name == "rollback" else lambda: [*runs(), *runs_elsewhere()],
        "REF": lambda: _of_reference(positional[0], positional[1:], word),
    }
    return of.get(wanted.strip("[].").removesuffix("]"), tuple)()


def _of_reference(env: str, parts: Sequence[str], word: str) -> Iterable[str]:
    """The next word of HOST KIND NAME, or KIND:NAME."""
    if not parts:
        return [*hosts(env), *references(env, word)]
    return KINDS if len(parts) == 1 else names(env, parts[-1])


def _excluding(word: str, found: Iterable[str]) -> Iterable[str]:
    return (f"!{each}" for each in found) if word.startswith("!") else found


def environments() -> Iterable[str]:
    """NAME for each environments/NAME.yaml."""
    return (path.stem for path in Path("environments").glob("*.yaml"))


def plans(word: str) -> Iterable[str]:
    """JSON files in the folder that is being typed."""
    folder = word.rpartition("/")[0]
    return (f"{folder}/{path.name}" if folder else path.name for path in Path(folder or ".").glob("*.json"))


def runs() -> Iterable[str]:
    """The numbers of the runs in the journal."""
    from reconciler.journal.glance import runs as numbers

    return map(str, numbers())


def runs_elsewhere() -> Iterable[str]:
    """What the runs of other machines are called, of which hosts have told."""
    from reconciler.journal.glance import runs_elsewhere as told

    return told()


def hosts(env: str) -> Iterable[str]:
    """Short names, names and groups, as the file has them; where no environment is named, the hosts that the
    journal knows."""
    from reconciler.environment.outline import Outline, outline
    from reconciler.journal.glance import hosts as seen

    found = outline(env) if env else Outline(hosts=seen())
    short = [name.partition(".")[0] for name in found.hosts]
    return {*found.hosts, *(each for each in short if short.count(each) == 1), *found.groups}


def references(env: str, word: str) -> Iterable[str]:
    """The kinds that a word may become; once there is but one, KIND:NAME of what the file lists and of what
    the journal knows as settled."""
    kind, colon, _ = word.partition(":")
    kinds = [each for each in KINDS if each == kind or (not colon and each.startswith(kind))]
    if len(kinds) != 1:
        return kinds
    return [*kinds, *(f"{kinds[0]}:{name}" for name in names(env, kinds[0]))]


def names(env: str, kind: str) -> Iterable[str]:
    """The names of what is of a kind, but those with a space, which a shell would take apart."""
    from reconciler.environment.outline import outline
    from reconciler.journal.glance import settled

    found = outline(env)
    known = [ref.split(" ", 2)[1:] for ref in settled(found.name) if ref.count(" ") >= 2]
    return {name for each, name in [*found.resources, *known] if each == kind and " " not in name}
