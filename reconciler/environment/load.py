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

from reconciler.environment.brought import Brought
from reconciler.environment.certificate import Certificate, Fallback
from reconciler.environment.cross_checks import cross_check
from reconciler.environment.form import too_new
from reconciler.environment.include import as_one, include
from reconciler.environment.local_files import SIZE, UnusableFile, read
from reconciler.environment.ordered import Ordered, inherited, is_ordered
from reconciler.environment.rules import Acknowledged, Notices, Policy
from reconciler.environment.schema import local_files
from reconciler.environment.schema_errors import check
from reconciler.environment.services import Consumer, Services, TomcatTls
from reconciler.environment.settings import Environment, Host, HostSsh, Nats, Paths, SiteSettings, Ssh, Sync
from reconciler.environment.yaml_reader import Number, Path, Placed, Problem, parse
from reconciler.kinds import KINDS
from reconciler.kinds.tagged_lines import TaggedLines
from reconciler.model import Place, Ref, Resource
from reconciler.plan.order import Cycle, edges, ordered


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


def load(path: str, raw: bytes | None = None) -> Environment:
    """Reads and checks an environment file; `raw` is what it held at another time.

    Raises `InvalidEnvironment`.
    """
    raw = _read(path) if raw is None else raw
    placed = parse(path, raw)
    included = include(placed)
    placed.problems += too_new(placed)
    if placed.problems:
        raise InvalidEnvironment(_in_order(placed.problems))
    placed.problems += check(placed)
    placed.problems += cross_check(placed)
    if placed.problems:
        raise InvalidEnvironment(_in_order(placed.problems))
    placed.value = _plain(placed.value)
    environment = _Builder(placed, included).environment(as_one(placed.value) if included else raw)
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
    def key(each: Problem) -> tuple[str, int, int, str]:
        return each.place.file, each.place.line, each.place.column, each.message

    return sorted(set(problems), key=key)


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


class _Builder:
    """Makes the environment of values that have been checked."""

    def __init__(self, placed: Placed, included: Mapping[str, bytes]) -> None:
        self._placed = placed
        self._value: Mapping[str, Any] = placed.value
        self._folder = FilePath(placed.file).parent
        self._sources = {name: hashlib.sha256(raw).hexdigest() for name, raw in included.items()}

    def environment(self, text: bytes) -> Environment:
        value = self._value
        hosts, retired = self._hosts("hosts"), self._hosts("retired")
        ordered = list(self._ordered())
        if len(hosts) == 1:
            hosts = [dataclasses.replace(hosts[0], primary=True)]
        environment = Environment(
            name=value["environment"],
            router=value.get("router", ""),
            hosts=tuple(hosts),
            retired=tuple(retired),
            sites={
                name: SiteSettings(**each | {"ssh": self._host_ssh(each.get("ssh"))})
                for name, each in value.get("sites", {}).items()
            },
            nats=Nats(**_tuples(value["nats"])) if "nats" in value else None,
            ssh=self._ssh([*hosts, *retired]),
            sync=Sync(**value.get("sync", {})),
            certificate=self._certificate(),
            paths=Paths(**value.get("paths", {})),
            services=self._services(),
            consumers=tuple(Consumer(**_tuples(each)) for each in value.get("consumers", ())),
            certificates=tuple(self._brought()),
            ordered=tuple(each for each in ordered if not each.absent),
            ended=tuple(each for each in ordered if each.absent),
            policy=self._policy(),
            notices=self._notices(),
            acknowledged=tuple(Acknowledged(**each) for each in value.get("acknowledged", ())),
            blueprint=value.get("blueprint", True),
            file=self._placed.file,
            text=text,
            digest=hashlib.sha256(text).hexdigest(),
        )
        resources = tuple(self._resources(environment))
        return dataclasses.replace(environment, resources=resources, sources=self._sources)

    def _hosts(self, key: str) -> list[Host]:
        return [
            Host(
                **_tuples(each) | {"ssh": self._host_ssh(each.get("ssh"))},
                place=self._placed.place((key, number)),
            )
            for number, each in enumerate(self._value.get(key, ()))
        ]

    def _host_ssh(self, value: Mapping[str, Any] | None) -> HostSsh | None:
        if not value:
            return None
        ssh = HostSsh(**value)
        return dataclasses.replace(ssh, identity=self._local(ssh.identity) if ssh.identity else None)

    def _ssh(self, hosts: Iterable[Host]) -> Ssh:
        ssh = Ssh(**self._value.get("ssh", {}))
        return dataclasses.replace(
            ssh,
            identity=self._local(ssh.identity) if ssh.identity else None,
            known_hosts=self._local(ssh.known_hosts),
            config=ssh.config if ssh.config == "none" else self._local(ssh.config),
        ).with_hosts(hosts)

    def _certificate(self) -> Certificate:
        value, path = self._value.get("certificate", {}), ("certificate",)
        return self._settings(value, dict.fromkeys(value, path))

    def _settings(self, value: Mapping[str, Any], said: Mapping[str, Path]) -> Certificate:
        """The settings of a certificate; `said` is the section that says each."""
        options = _tuples(value)
        of = options.pop("fallback", None)
        fallback = Fallback(**of) if of else None
        if fallback:
            trusted = self._trusted((*said["fallback"], "fallback", "roots"), fallback.roots)
            fallback = dataclasses.replace(fallback, trusted=trusted)
        trusted = self._trusted((*said.get("roots", ()), "roots"), options.get("roots"))
        return Certificate(**options, trusted=trusted, fallback=fallback)

    def _brought(self) -> Iterable[Brought]:
        for number, each in enumerate(self._value.get("certificates", ())):
            if is_ordered(each):
                continue
            brought = Brought(**_tuples(each))
            trusted = self._trusted(("certificates", number, "roots"), brought.roots)
            yield dataclasses.replace(brought, trusted=trusted)

    def _ordered(self) -> Iterable[Ordered]:
        own = self._value.get("certificate", {})
        for number, each in enumerate(self._value.get("certificates", ())):
            if not is_ordered(each):
                continue
            entry = _tuples(each)
            mine = {key: entry.pop(key) for key in ("name", "names", "hosts", "absent") if key in entry}
            value = {**inherited(own, each), **entry}
            here: Path = ("certificates", number)
            said = {name: here if name in each else ("certificate",) for name in value}
            yield Ordered(**mine, settings=self._settings(value, said))

    def _trusted(self, path: Path, roots: str | None) -> bytes:
        """The roots in a file that the YAML names, or those of this machine."""
        if roots is not None:
            # Roots are public, and nothing of them is printed: they may lie anywhere.
            return self._text(path, roots, anywhere=True).encode()
        import ssl  # noqa: PLC0415 - slow to load, and seldom needed

        file = ssl.get_default_verify_paths().cafile
        return FilePath(file).read_bytes() if file and FilePath(file).exists() else b""

    def _services(self) -> Services:
        value = dict(self._value.get("services", {}))
        tls = value.pop("tomcat_tls", None)
        return Services(**value, tomcat_tls=None if tls is None else TomcatTls(**tls))

    def _policy(self) -> Policy:
        policy = Policy(**_tuples(self._value.get("policy", {})))
        signers = policy.allowed_signers
        return dataclasses.replace(policy, allowed_signers=self._local(signers) if signers else None)

    def _notices(self) -> Notices:
        notices = Notices(**_tuples(self._value.get("notices", {})))
        text = self._text(("notices", "template"), notices.template) if notices.template else None
        if text is not None:
            try:
                Template(text).substitute(subject="", text="", environment="")
            except (KeyError, ValueError) as error:
                reason = f"the template has $-names other than $subject, $text, $environment ({error})"
                self._placed.problems.append(Problem(self._placed.place(("notices", "template")), reason))
        return dataclasses.replace(notices, template=text)

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
        item[kind.title] = item.pop(kind.kind)
        template = self._files(kind, number, item)
        options = _tuples(item)
        if issubclass(kind, TaggedLines):
            options["tag"] = environment.tag
        for host in environment.hosts:
            if wanted is not None and not host.is_in(wanted):
                continue
            own = dict(options)
            if template is not None:
                own[template[0]] = self._filled(template[1], environment, host, number)
            refs = tuple(_need(each, host, environment) for each in needs)
            yield kind(**own, host=host.name, place=place, needs=refs)

    def _files(self, kind: type[Resource], number: int, item: dict[str, Any]) -> tuple[str, str] | None:
        """Reads the local files an item names into it; returns the option that a template is for,
        and its text."""
        files = {key: each for key, each in local_files(kind).items() if key in item}
        given = [*files, *dict.fromkeys(name for name, _ in files.values() if name in item)]
        if len(given) > 1:
            path: Path = ("resources", number, given[0])
            message = f"one of {', '.join(sorted(given))} is enough; they say the same thing"
            self._placed.problems.append(Problem(self._placed.place(path), message))
        template = None
        for key, (name, file) in files.items():
            secret = file.secret or bool(item.get("secret"))
            text = self._text(("resources", number, key), item.pop(key), public=not secret)
            if file.filled:
                template = (name, text)
            else:
                item[name] = text.removesuffix("\n") if file.secret else text
            if file.secret:
                item["secret"] = True
        return template

    def _text(self, path: Path, name: str, *, anywhere: bool = False, public: bool = True) -> str:
        """The text of a local file; a public one's SHA-256 is kept."""
        file = self._local(name)
        try:
            raw = read(FilePath(file), None if anywhere else self._folder)
            if public:
                self._sources[name] = hashlib.sha256(raw).hexdigest()
            return raw.decode("utf-8")
        except UnusableFile as error:
            reason = str(error)
        except UnicodeDecodeError as error:
            line = raw[: error.start].count(b"\n") + 1
            reason = f"{file}, line {line}: not UTF-8"
        self._placed.problems.append(Problem(self._placed.place(path), reason))
        return ""

    def _filled(self, template: str, environment: Environment, host: Host, number: int) -> str:
        values = {
            "environment": environment.name,
            "host": host.name,
            "hosts": " ".join(each.name for each in environment.hosts),
            "account": environment.sync.account,
        }
        if environment.router:
            values["router"] = environment.router
        if environment.primary.primary:
            values["primary"] = environment.primary.name
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
            f"{resource.ref} needs {ref}, which is not declared",
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
