"""The environment file: YAML in, `Environment` out, and every message about a bad file.

All problems are told at once, each with file:line:column, what is wrong and what is right.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path as FilePath
from string import Template
from typing import Any

from reconciler.declared import Certificate, Environment, Host, Paths, Services, Ssh, Sync
from reconciler.graph import Cycle, edges, ordered
from reconciler.kinds import KINDS
from reconciler.kinds.tagged_lines import TaggedLines
from reconciler.model import HOLE_PREFIX, Place, Ref, Resource
from reconciler.schema import title_field
from reconciler.schema_check import check
from reconciler.yaml_places import Number, Path, Placed, Problem, parse

SIZE = 4 * 1024 * 1024
"""Bytes an environment file, or a file it names, may have."""


class InvalidEnvironment(Exception):
    """The file is not one; `problems` holds everything that is wrong with it."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("\n".join(map(str, problems)))


def find(env: str) -> str:
    """The path of ENV: a path as it is, or NAME for environments/NAME.yaml.

    Raises `InvalidEnvironment` naming the known ones.
    """
    if FilePath(env).exists() or "/" in env or env.endswith((".yaml", ".yml")):
        return env
    named = FilePath("environments") / f"{env}.yaml"
    if named.exists():
        return str(named)
    known = ", ".join(sorted(path.stem for path in FilePath("environments").glob("*.yaml"))) or "none"
    message = f"there is no environment {env}: no such file, and no {named} (known: {known})"
    raise InvalidEnvironment([Problem(Place(env, 1, 1), message)])


def load(path: str) -> Environment:
    """Reads and checks an environment file. Raises `InvalidEnvironment`."""
    raw = _read(path)
    placed = parse(path, raw)
    if placed.problems:
        raise InvalidEnvironment(placed.problems)
    placed.problems += check(placed)
    _Cross(placed).check()
    if placed.problems:
        raise InvalidEnvironment(_in_order(placed.problems))
    placed.value = _plain(placed.value)
    environment = _Builder(placed).environment(hashlib.sha256(raw).hexdigest())
    if placed.problems:
        raise InvalidEnvironment(_in_order(placed.problems))
    return environment


def _plain(value: Any) -> Any:
    """The value without the memory of how its numbers were written: sockets want plain ones."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return int(value) if isinstance(value, Number) else value


def _in_order(problems: Iterable[Problem]) -> list[Problem]:
    return sorted(set(problems), key=lambda each: (each.place.line, each.place.column, each.message))


def _read(path: str) -> bytes:
    try:
        with FilePath(path).open("rb") as file:
            raw = file.read(SIZE + 1)
    except IsADirectoryError:
        reason = "is a directory; name the YAML file in it"
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
    else:
        if len(raw) <= SIZE:
            return raw
        reason = f"is larger than {SIZE >> 20} MB; that is no environment file"
    raise InvalidEnvironment([Problem(Place(path, 1, 1), reason)])


class _Cross:
    """What a schema cannot say."""

    def __init__(self, placed: Placed) -> None:
        self._placed = placed
        value = placed.value if isinstance(placed.value, dict) else {}
        self._value: Mapping[str, Any] = value
        self._hosts = self._named("hosts")
        self._retired = self._named("retired")

    def _named(self, key: str) -> list[tuple[int, dict[str, Any]]]:
        items = self._value.get(key)
        if not isinstance(items, list):
            return []
        return [
            (number, each)
            for number, each in enumerate(items)
            if isinstance(each, dict) and isinstance(each.get("name"), str)
        ]

    def _problem(self, path: Path, message: str) -> None:
        self._placed.problems.append(Problem(self._placed.place(path), message))

    def check(self) -> None:
        self._check_primary()
        self._check_names()
        self._check_reserved((), self._value)
        self._check_resources()

    def _check_primary(self) -> None:
        marked = [number for number, host in self._hosts if host.get("primary") is True]
        for number in marked[1:]:
            first = self._placed.place(("hosts", marked[0], "primary")).line
            self._problem(
                ("hosts", number, "primary"),
                f"a second primary; one host is the primary, and line {first} has named it",
            )
        if not marked and len(self._hosts) > 1:
            self._problem(("hosts",), "no primary: mark the host on which certbot runs with `primary: true`")

    def _check_names(self) -> None:
        first: dict[str, Path] = {}
        for key, hosts in (("hosts", self._hosts), ("retired", self._retired)):
            for number, host in hosts:
                path: Path = (key, number, "name")
                name = host["name"].lower()
                if name in first:
                    line = self._placed.place(first[name]).line
                    what = "retired and not retired" if first[name][0] != key else "twice"
                    self._problem(path, f"the host {host['name']} is here {what}; see line {line}")
                first.setdefault(name, path)
        certificate = self._value.get("certificate")
        names = certificate.get("names") if isinstance(certificate, dict) else None
        router = self._value.get("router")
        taken = {name: self._placed.place(path) for name, path in first.items() if path[0] == "hosts"}
        if isinstance(router, str):
            taken.setdefault(router.lower(), self._placed.place(("router",)))
        for number, name in enumerate(names if isinstance(names, list) else ()):
            if isinstance(name, str):
                path = ("certificate", "names", number)
                if name.lower() in taken:
                    line = taken[name.lower()].line
                    self._problem(path, f"the certificate has the name {name} already, from line {line}")
                taken.setdefault(name.lower(), self._placed.place(path))

    def _check_reserved(self, path: Path, value: Any) -> None:
        if isinstance(value, dict):
            for key, each in value.items():
                self._check_reserved((*path, key), each)
        elif isinstance(value, list):
            for number, each in enumerate(value):
                self._check_reserved((*path, number), each)
        elif isinstance(value, str) and HOLE_PREFIX in value:
            self._problem(
                path, f"the text `{HOLE_PREFIX}` is reserved: a plan says so where it does not know"
            )

    def _check_resources(self) -> None:
        known = {host["name"] for _, host in self._hosts} | {"primary", "replicas"}
        items = self._value.get("resources")
        for number, item in enumerate(items if isinstance(items, list) else ()):
            hosts = item.get("hosts") if isinstance(item, dict) else None
            for index, name in enumerate(hosts if isinstance(hosts, list) else ()):
                if name not in known:
                    path: Path = ("resources", number, "hosts", index)
                    self._problem(path, f"there is no host {name} (known: {', '.join(sorted(known))})")


class _Builder:
    """Makes the environment of values that have been checked."""

    def __init__(self, placed: Placed) -> None:
        self._placed = placed
        self._value: Mapping[str, Any] = placed.value
        self._folder = FilePath(placed.file).parent

    def environment(self, digest: str) -> Environment:
        value = self._value
        hosts = self._hosts("hosts")
        if len(hosts) == 1:
            hosts = [dataclasses.replace(hosts[0], primary=True)]
        environment = Environment(
            name=value["environment"],
            router=value["router"],
            hosts=tuple(hosts),
            retired=tuple(self._hosts("retired")),
            ssh=self._ssh(),
            sync=Sync(**value.get("sync", {})),
            certificate=Certificate(**_tuples(value.get("certificate", {}))),
            paths=Paths(**value.get("paths", {})),
            services=Services(**value.get("services", {})),
            blueprint=value.get("blueprint", True),
            file=self._placed.file,
            digest=digest,
        )
        return dataclasses.replace(environment, resources=tuple(self._resources(environment)))

    def _hosts(self, key: str) -> list[Host]:
        return [
            Host(**each, place=self._placed.place((key, number)))
            for number, each in enumerate(self._value.get(key, ()))
        ]

    def _ssh(self) -> Ssh:
        ssh = Ssh(**self._value.get("ssh", {}))
        identity = self._local(ssh.identity) if ssh.identity else None
        return dataclasses.replace(ssh, identity=identity, known_hosts=self._local(ssh.known_hosts))

    def _local(self, path: str) -> str:
        try:
            expanded = FilePath(path).expanduser()
        except RuntimeError:
            expanded = FilePath(path)
        return str(self._folder / expanded)

    def _resources(self, environment: Environment) -> Iterable[Resource]:
        seen: dict[Ref, Place] = {}
        for number, item in enumerate(self._value.get("resources", ())):
            place = self._placed.place(("resources", number))
            for resource in self._for_hosts(environment, number, dict(item), place):
                if resource.ref in seen:
                    message = (
                        f"{resource.ref} is declared twice; the first is in line {seen[resource.ref].line}"
                    )
                    self._placed.problems.append(Problem(place, message))
                seen.setdefault(resource.ref, place)
                yield resource

    def _for_hosts(
        self, environment: Environment, number: int, item: dict[str, Any], place: Place
    ) -> Iterable[Resource]:
        kind = next(KINDS[key] for key in item if key in KINDS)
        wanted = item.pop("hosts", None)
        needs = tuple(item.pop("needs", ()))
        item[title_field(kind)] = item.pop(kind.kind)
        template = self._files(kind, number, item)
        options = _tuples(item)
        if issubclass(kind, TaggedLines):
            options["tag"] = environment.tag
        for host in environment.hosts:
            if wanted is not None and not _is_for(host, wanted):
                continue
            own = dict(options)
            if template is not None:
                own["content"] = self._filled(template, environment, host, number)
            refs = tuple(_need(each, host, environment) for each in needs)
            yield kind(**own, host=host.name, place=place, needs=refs)

    def _files(self, kind: type[Resource], number: int, item: dict[str, Any]) -> str | None:
        """Reads the local files an item names into it; returns a template's text."""
        texts = {}
        for key in ("template", "source", "value_file"):
            if key in item:
                texts[key] = self._text(("resources", number, key), item.pop(key))
        given = [*texts, *(key for key in ("content", "value") if key in item)]
        if len(given) > 1:
            path: Path = ("resources", number, given[0])
            message = f"one of {', '.join(sorted(given))} is enough; they say the same thing"
            self._placed.problems.append(Problem(self._placed.place(path), message))
        if "source" in texts:
            item["content"] = texts["source"]
        if "value_file" in texts:
            item |= {"value": texts["value_file"].removesuffix("\n"), "secret": True}
        return texts.get("template")

    def _text(self, path: Path, name: str) -> str:
        file = self._local(name)
        try:
            raw = FilePath(file).read_bytes()
            return raw.decode("utf-8")
        except OSError as error:
            reason = f"{file} cannot be read: {error.strerror}"
        except UnicodeDecodeError as error:
            line = raw[: error.start].count(b"\n") + 1
            reason = f"{file}, line {line}: not UTF-8"
        self._placed.problems.append(Problem(self._placed.place(path), reason))
        return ""

    def _filled(self, template: str, environment: Environment, host: Host, number: int) -> str:
        values = {
            "environment": environment.name,
            "router": environment.router,
            "host": host.name,
            "primary": environment.primary.name,
            "hosts": " ".join(each.name for each in environment.hosts),
            "account": environment.sync.account,
        }
        try:
            return Template(template).substitute(values)
        except KeyError as error:
            reason = f"the template has ${error.args[0]}, which is not one of {', '.join(sorted(values))}"
        except ValueError as error:
            reason = f"the template has a `$` that begins no name ({error}); a dollar is `$$`"
        place = self._placed.place(("resources", number, "template"))
        self._placed.problems.append(Problem(place, reason))
        return ""


def _tuples(item: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in item.items()}


def _is_for(host: Host, wanted: list[str]) -> bool:
    return host.name in wanted or ("primary" if host.primary else "replicas") in wanted


def _need(text: str, host: Host, environment: Environment) -> Ref:
    first, _, rest = text.partition(" ")
    if first in {each.name for each in environment.hosts}:
        kind, _, name = rest.partition(" ")
        return Ref(first, kind, name)
    return Ref(host.name, first, rest)


def check_whole(environment: Environment, resources: Iterable[Resource]) -> None:
    """What can only be said with the blueprint's resources at hand: needs of something that
    nobody declares, and a cycle. Raises `InvalidEnvironment`."""
    everything = list(resources)
    known = Counter(resource.ref for resource in everything)
    problems = [
        Problem(
            resource.place or Place(environment.file, 1, 1),
            f"{resource.ref} needs {ref}, which nobody declares",
        )
        for resource in environment.resources
        for ref in resource.needs
        if ref not in known
    ]
    try:
        ordered(edges(everything))
    except Cycle as error:
        place = next((r.place for r in everything if r.ref in error.members and r.place), None)
        problems.append(Problem(place or Place(environment.file, 1, 1), str(error)))
    if problems:
        raise InvalidEnvironment(_in_order(problems))
