"""What `init` and `import` share: flags that describe an environment, and its new file."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from reconciler.cli import files
from reconciler.cli.exit import Code, CommandError
from reconciler.environment import yaml_writer
from reconciler.environment.certificate import Certificate
from reconciler.environment.services import Services
from reconciler.environment.settings import Environment, Host, HostSsh, Ssh


@dataclass(frozen=True, kw_only=True)
class NewEnvironment:
    """What the command line says of an environment; what it does not say is None or empty."""

    name: str | None = None
    router: str | None = None
    hosts: Sequence[str] = ()
    """Each as NAME or NAME=ADDRESS."""
    primary: str | None = None
    user: str | None = None
    port: int | None = None
    identity: str | None = None
    known_hosts: str | None = None
    jump: str | None = None
    administrators: str | None = None
    postgresql: str | None = None
    tomcat: str | None = None

    def all_hosts(self) -> tuple[Host, ...]:
        """The hosts, each once. Raises `CommandError` where --primary is not one of them."""
        pairs = dict(each.partition("=")[::2] for each in self.hosts)
        hosts = [Host(name=name.strip(), address=address.strip() or None) for name, address in pairs.items()]
        if self.primary not in {None, *(host.name for host in hosts)}:
            raise CommandError(
                Code.USAGE, f"--primary {self.primary}: is not one of the hosts given with --host"
            )
        return tuple(map(self._with_port, hosts))

    def _with_port(self, host: Host) -> Host:
        """The host with the port that ssh's configuration says: its peers need it too, so the file must say
        it."""
        from reconciler.fleet.reply import Refused
        from reconciler.fleet.routes import Routes

        try:
            route = Routes(self.ssh(str)).of(host)
        except Refused:
            return host  # whoever connects is told
        return replace(host, ssh=HostSsh(port=route.port)) if ":" in route.origins["port"] else host

    def ssh(self, spell: Callable[[str], str]) -> Ssh:
        """How the hosts are reached, with every path as `spell` writes it."""
        usual = Ssh()
        return replace(
            usual,
            user=self.user or usual.user,
            port=self.port or usual.port,
            identity=spell(self.identity) if self.identity else None,
            known_hosts=spell(self.known_hosts or usual.known_hosts),
            jump=self.jump,
        )

    def environment(self, spell: Callable[[str], str]) -> Environment:
        """The environment that is described, with every path as `spell` writes it; without --primary the
        first host is it. Raises `CommandError` where --primary is none of the hosts."""
        hosts = self.all_hosts()
        primary = self.primary or hosts[0].name
        return Environment(
            name=self.name or "",
            router=self.router or "",
            hosts=tuple(replace(host, primary=host.name == primary) for host in hosts),
            ssh=self.ssh(spell),
            certificate=Certificate(administrators=self.administrators),
            services=Services(postgresql=self.postgresql, tomcat=self.tomcat),
        )


def relative(path: Path, file: str) -> str:
    """A file as the environment file at `path` names it: relative to its own folder."""
    return file if file.startswith(("~", "/")) else os.path.relpath(file, path.parent)


def free_path(output: Path | None, name: str) -> Path:
    """Where the file goes. Raises `CommandError` where there is one already."""
    path = output or Path("environments") / f"{name}.yaml"
    if path == files.STDOUT:
        return path
    if path.exists() or path.is_symlink():
        why = "exists already, and is never overwritten; move it away, or choose another with -o"
        raise CommandError(Code.USAGE, f"{path}: {why}")
    return path


SCHEMA = "https://raw.githubusercontent.com/DataONEorg/reconcile/main/schemas/environment.schema.json"


def schema_address(path: Path) -> str:
    """Where editors find the schema, as seen from a file: relative within a checkout; elsewhere an address
    that holds on every machine, for the file goes into git."""
    root = Path(__file__).resolve().parent.parent.parent
    schema, folder = root / "schemas" / "environment.schema.json", path.resolve().parent
    near = schema.exists() and root in (folder, *folder.parents)
    return os.path.relpath(schema, folder) if near else SCHEMA


def write_new(path: Path, environment: Environment, remarks: Mapping[str, Sequence[str]]) -> str:
    """Writes a file that must not exist yet, unless it is stdout, and returns its text. Raises
    `CommandError`."""
    text = yaml_writer.text(environment, schema_address(path), remarks)
    if path == files.STDOUT:
        return text
    try:
        if path.parent == Path("environments"):
            path.parent.mkdir(exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise CommandError(Code.LOCAL, f"{path}: cannot be written ({error.strerror})") from None
    return text
