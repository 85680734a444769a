"""The form of environment files: its version, and how a file of an earlier one is brought to it. Pure."""

from __future__ import annotations

from reconciler.environment.yaml_reader import Placed, Problem, parse

VERSION = 1
"""The version that this program writes; a file without one is of this version too."""


def too_new(placed: Placed) -> list[Problem]:
    """What to say of a file of a later version: nothing else in it can be judged."""
    version = placed.value.get("version") if isinstance(placed.value, dict) else None
    if not isinstance(version, int) or isinstance(version, bool) or version <= VERSION:
        return []
    message = f"version {version}: this program knows version {VERSION} and earlier; install a newer one"
    return [Problem(placed.place(("version",)), message)]


def formatted(file: str, text: str) -> str:
    """The text in today's form; it says the same, and comments stay. A file that cannot be read, or
    is of a later version, stays as it is: `validate` says what is wrong."""
    placed = parse(file, text.encode())
    if placed.problems or not isinstance(placed.value, dict) or too_new(placed):
        return text
    same = dict(placed.value)
    plain = "\n".join(line.rstrip(" \t\r") for line in text.split("\n")).rstrip("\n") + "\n"
    if parse(file, plain.encode()).value == same:  # blanks at the end of a line may be a part of a text
        text = plain
    if "version" in same or not same:
        return text
    lines = text.split("\n")
    line, column = min((at.line, at.column) for path, at in placed.keys.items() if len(path) == 1)
    version = f"{' ' * (column - 1)}version: {VERSION}"
    versioned = "\n".join([*lines[: line - 1], version, *lines[line - 1 :]])
    said = parse(file, versioned.encode()).value
    return versioned if said == {"version": VERSION, **same} else text
