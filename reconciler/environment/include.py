"""`include:`: what several environment files have in common, in a file of its own."""

from __future__ import annotations

import json
from pathlib import Path as FilePath
from typing import Any

from reconciler.environment.local_files import UnusableFile, read
from reconciler.environment.yaml_reader import Path, Placed, Problem, parse

KEY = "include"


def include(placed: Placed) -> dict[str, bytes]:
    """Puts what the document includes under it, and takes `include:` out of it; returns what was included,
    by the names there. Mappings are merged key by key; of anything else, the document's own counts, and
    then the file that is named last. What is wrong is in `placed.problems`."""
    names = placed.value.pop(KEY, []) if isinstance(placed.value, dict) else []
    if not (isinstance(names, list) and all(isinstance(each, str) for each in names)):
        message = f"`{KEY}:` is a list of files, such as `- common/hosts.yaml`"
        placed.problems.append(Problem(placed.place((KEY,)), message))
        return {}
    folder, found = FilePath(placed.file).parent, {}
    for number, name in reversed(list(enumerate(names))):
        path = folder / name
        try:
            found[name] = read(path, folder)
        except UnusableFile as error:
            placed.problems.append(Problem(placed.place((KEY, number)), str(error)))
            continue
        under = parse(str(path), found[name])
        placed.problems += under.problems
        if under.problems:
            continue
        if not isinstance(under.value, dict) or KEY in under.value:
            message = "a file that is included has keys with values, and includes none itself"
            placed.problems.append(Problem(under.place((KEY,)), message))
            continue
        _merge(placed, under, placed.value, under.value, ())
    return found


def _merge(over: Placed, under: Placed, own: dict[str, Any], added: dict[str, Any], at: Path) -> None:
    for key, value in added.items():
        path = (*at, key)
        if key not in own:
            own[key] = value
            for places, more in ((over.places, under.places), (over.keys, under.keys)):
                places.update({each: place for each, place in more.items() if each[: len(path)] == path})
        elif isinstance(own[key], dict) and isinstance(value, dict):
            _merge(over, under, own[key], value, path)


def as_one(value: dict[str, Any]) -> bytes:
    """The text of a file that says the same and includes nothing."""
    return json.dumps(value, ensure_ascii=False, indent=1).encode()
