"""YAML as plain values, with the place of every key and item. The one door for yaml.

Stricter than YAML itself: a key twice, an alias bomb, a tag, several documents or text that
is not UTF-8 is a problem with its place, never a surprise.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml

from reconciler.model import Place

Path = tuple[str | int, ...]
NODES = 200_000
"""How many values a file may come to once its aliases are followed."""

DEPTH = 50
"""How deeply values may nest. libyaml composes recursively, and deep enough ends the process."""

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Problem:
    """What is wrong with a file, where, and what would be right."""

    place: Place
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


@dataclass
class Placed:
    """A document's value, the place of each value by its path, and what is wrong with it."""

    file: str
    value: Any = None
    places: dict[Path, Place] = field(default_factory=dict)
    keys: dict[Path, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    nodes: int = 0

    def place(self, path: Path) -> Place:
        """The place of a value, or of the nearest one around it."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, Place(self.file, 1, 1))


def parse(file: str, raw: bytes) -> Placed:
    """The document in `raw`; all that is wrong with it is in `problems`."""
    placed = Placed(file)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        line = before.count(b"\n") + 1
        column = error.start - (before.rfind(b"\n") + 1) + 1
        message = f"the byte 0x{raw[error.start]:02x} is not UTF-8; save the file as UTF-8"
        placed.problems.append(Problem(Place(file, line, column), message))
        return placed
    try:
        if too_deep := _too_deep(file, text):
            placed.problems.append(too_deep)
            return placed
        documents = list(yaml.compose_all(text, Loader=_Loader))
    except yaml.MarkedYAMLError as error:
        placed.problems.append(Problem(_mark(file, error.problem_mark), _syntax(error, text)))
        return placed
    except yaml.YAMLError as error:
        placed.problems.append(Problem(_unmarked(file, text, error), f"not YAML: {_one_line(error)}"))
        return placed
    _convert(placed, documents)
    return placed


def _too_deep(file: str, text: str) -> Problem | None:
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEPTH:
                return Problem(_mark(file, event.start_mark), f"nested more than {DEPTH} deep")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
    return None


def _convert(placed: Placed, documents: list[Any]) -> None:
    documents = [document for document in documents if document is not None]
    if not documents:
        placed.problems.append(Problem(Place(placed.file, 1, 1), "the file is empty"))
        return
    if len(documents) > 1:
        where = _mark(placed.file, documents[1].start_mark)
        placed.problems.append(Problem(where, "a second document begins here; one file is one environment"))
        return
    try:
        placed.value = _Converter(placed).value(documents[0], ())
    except _TooMuch as error:
        placed.problems.append(Problem(error.place, str(error)))


class _TooMuch(Exception):
    def __init__(self, place: Place, message: str) -> None:
        self.place = place
        super().__init__(message)


class _Converter:
    """Makes plain values of nodes."""

    def __init__(self, placed: Placed) -> None:
        self._placed = placed
        self._open: list[int] = []

    def value(self, node: Any, path: Path) -> Any:
        placed, place = self._placed, _mark(self._placed.file, node.start_mark)
        placed.nodes += 1
        if placed.nodes > NODES:
            raise _TooMuch(place, f"the aliases of this file come to more than {NODES} values")
        if id(node) in self._open or len(self._open) > DEPTH:
            raise _TooMuch(place, f"an alias that contains itself, or values nested more than {DEPTH} deep")
        placed.places[path] = place
        self._open.append(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, path)
            if isinstance(node, yaml.SequenceNode):
                return [self.value(each, (*path, number)) for number, each in enumerate(node.value)]
            return self._scalar(node, place)
        finally:
            self._open.pop()

    def _mapping(self, node: Any, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            where = _mark(self._placed.file, key_node.start_mark)
            if not isinstance(key_node, yaml.ScalarNode):
                self._problem(where, "a key is a plain word")
                continue
            key = str(key_node.value)
            if key_node.tag == "tag:yaml.org,2002:merge":
                self._problem(where, "merge keys (`<<`) are not supported; repeat the keys")
                continue
            if key in found:
                first = self._placed.keys[*path, key]
                self._problem(where, f'the key "{key}" is here twice; the first is in line {first.line}')
                continue
            self._placed.keys[*path, key] = where
            found[key] = self.value(value_node, (*path, key))
        return found

    def _scalar(self, node: Any, place: Place) -> Any:
        if not node.tag.startswith("tag:yaml.org,2002:"):
            self._problem(place, f"the tag {node.tag} is not supported")
            return node.value
        kind = node.tag.removeprefix("tag:yaml.org,2002:")
        if kind not in ("str", "int", "bool", "null"):
            # A date or a fraction means nothing here: it is what was written.
            if kind not in ("float", "timestamp", "value"):
                self._problem(place, f"the tag !!{kind} is not supported")
            return node.value
        if kind == "int" and len(node.value) > LONGEST_NUMBER:
            self._problem(
                place, f"a number of {len(node.value)} characters; expected {LONGEST_NUMBER} at most"
            )
            return Number.of("1")  # one problem is enough
        if kind == "int":
            return Number.of(node.value)
        if kind == "bool":
            return node.value.lower() in ("true", "yes", "on")
        return None if kind == "null" else node.value

    def _problem(self, place: Place, message: str) -> None:
        self._placed.problems.append(Problem(place, message))


LONGEST_NUMBER = 40
"""Characters of a number. Python converts none of more than 4300 digits to text (CVE-2020-10735)."""


class Number(int):
    """A number, and how it was written: 0644 is 420 in YAML, and a mode to people."""

    written: str

    @classmethod
    def of(cls, text: str) -> Number:
        """The number that YAML 1.1 reads in a text; 0 for one of base 60, as `1:30` is."""
        plain = text.replace("_", "")
        try:
            number = cls(int(plain, 8) if plain.startswith("0") and plain.isdigit() else int(plain, 0))
        except ValueError:  # base 60
            number = cls(0)
        number.written = text
        return number


def _mark(file: str, mark: Any) -> Place:
    return Place(file, mark.line + 1, mark.column + 1) if mark is not None else Place(file, 1, 1)


def _syntax(error: Any, text: str) -> str:
    line = text.split("\n")[error.problem_mark.line :][:1] if error.problem_mark else []
    if "\t" in "".join(line) and "token" in str(error.problem):
        return "a tab cannot indent or separate in YAML; use spaces"
    if "maximum nesting depth" in str(error.problem):  # newer scanners of libyaml have a limit of their own
        return f"nested more than {DEPTH} deep"
    return f"not YAML: {_one_line(error.problem or error.context or error)}"


def _unmarked(file: str, text: str, error: Any) -> Place:
    position = getattr(error, "position", None)
    if not isinstance(position, int):
        return Place(file, 1, 1)
    before = text[:position]
    return Place(file, before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1)


def _one_line(text: Any) -> str:
    return " ".join(str(text).split())
