"""The files that the blueprint writes on hosts: templates beside this module, and how they are filled in.

A template in shell (`*.sh`) is a whole script, so that `sh -n` and shellcheck read it as it is: its first
lines assign its settings, with examples, up to the first empty line; the environment's values are written in
their place. All others have `@name@` where a value goes: `$` and `%` have a meaning in their languages.
"""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from reconciler.model import quote

_GAP = "\n\n"
MARK = "# Written by reconcile from the environment "
"""How the first comment of each file begins; the name of the environment and a semicolon follow."""


def _template(name: str) -> str:
    content = pkgutil.get_data(__name__, name)
    if content is None:
        raise FileNotFoundError(name)
    return content.decode("utf-8")


def _head(environment: str) -> str:
    return f"{MARK}{environment}; changes here are undone.\n"


def script(
    name: str,
    environment: str,
    settings: Mapping[str, str | int],
    parts: Sequence[str] = (),
    instead: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """The shell script `name` with these settings, quoted, and the functions of the scripts `parts`.
    `instead` has texts of its body, and what stands in their place, as it is.

    Raises `ValueError` unless the settings are those that the template assigns, in its order, then what only
    its parts assign, and those texts are in it, and `FileNotFoundError` where there is no such template.
    """
    shebang, _, rest = _template(name).partition("\n")
    examples, _, body = rest.partition("\n\n")
    examples = "\n".join([examples, *(_template(part).partition("\n\n")[0] for part in parts)])
    assigned = list(dict.fromkeys(re.findall("^([a-z_]+)=", examples, re.MULTILINE)))
    if assigned != list(settings):
        raise ValueError(f"{name} has the settings {assigned}, not {list(settings)}")
    for text, other in instead.items():
        if text not in body:
            raise ValueError(f"{name} has no {text}")
        body = body.replace(text, other)
    functions = "".join(f"{_template(part).partition(_GAP)[2]}\n" for part in parts)
    return f"{shebang}\n{_head(environment)}{_assigned(settings)}\n{functions}{body}"


def _assigned(settings: Mapping[str, str | int]) -> str:
    return "".join(f"{key}={quote(value)}\n" for key, value in settings.items())


def functions(name: str, names: Iterable[str], settings: Mapping[str, str | int]) -> str:
    """Some functions of the shell script `name`, below these settings, quoted.

    Raises `ValueError` where it has none of such a name, and `FileNotFoundError` where there is no such
    template.
    """
    found = dict(
        re.findall(r"^([a-z_]+)\(\) (\{ [^\n]* \}$|\{.*?^\}$)", _template(name), re.MULTILINE | re.DOTALL)
    )
    if lacks := set(names) - set(found):
        raise ValueError(f"{name} has no function {', '.join(sorted(lacks))}")
    return _assigned(settings) + "\n".join(f"{each}() {found[each]}" for each in names)


def text(name: str, environment: str, values: Mapping[str, str | None]) -> str:
    """The file `name` with these values; a line that asks for a value that is None is left out.

    Raises `KeyError` for a name in the template that has no value here, and
    `FileNotFoundError` where there is no such template.
    """
    kept = [
        line
        for line in _template(name).splitlines(keepends=True)
        if all(values[key] is not None for key in re.findall("@([a-z_]+)@", line))
    ]
    return _head(environment) + re.sub("@([a-z_]+)@", lambda found: str(values[found[1]]), "".join(kept))
