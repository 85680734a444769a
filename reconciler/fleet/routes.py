"""How each host is reached: what the environment says, then ssh's own configuration, then the defaults."""

from __future__ import annotations

import getpass
import os
import re
import socket
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from reconciler.environment.settings import Host, HostSsh, Ssh
from reconciler.fleet.known_hosts import host_label
from reconciler.fleet.reply import Refused
from reconciler.fleet.ssh_config import ConfigValue, HostSettings, SshConfig, UnusableConfig
from reconciler.messages import Message

DEFAULT_USER, DEFAULT_PORT = "root", 22


@dataclass(frozen=True, kw_only=True)
class Route:
    """How a host is reached: `via` is the last of its jump hosts.

    `alias` is the name of its host key in ssh's configuration; `labels` are what known_hosts may call it,
    its own name first. The first of the `identities` that can be used is tried, then the agent's keys where
    `agent`. `origins` says by setting what has said it, `remarks` what is not followed of that.
    """

    name: str
    address: str
    port: int
    user: str
    labels: tuple[str, ...]
    identities: tuple[str, ...] = ()
    certificate: str | None = None
    alias: str | None = None
    agent: bool = True
    via: Route | None = None
    origins: Mapping[str, str] = field(default_factory=dict, compare=False)
    remarks: tuple[str, ...] = field(default=(), compare=False)

    @property
    def jump(self) -> str | None:
        """Its jump hosts, as `ssh -J` wants them."""
        if self.via is None:
            return None
        own = f"[{self.via.address}]" if ":" in self.via.address else self.via.address
        port = f":{self.via.port}" if self.via.port != DEFAULT_PORT else ""
        before = f"{self.via.jump}," if self.via.jump else ""
        return f"{before}{self.via.user}@{own}{port}"

    @property
    def hops(self) -> tuple[Route, ...]:
        """Its jump hosts, the first one first."""
        return (*self.via.hops, self.via) if self.via else ()


def remarks(routes: Iterable[Route]) -> list[str]:
    """What is not followed of ssh's configuration on some routes, each line of it once."""
    every = [each for route in routes for each in (*route.hops, route)]
    return list(dict.fromkeys(remark for route in every for remark in route.remarks))


@dataclass(frozen=True)
class _Hop:
    user: str | None
    host: str
    port: int | None


def jump_hosts(jump: str, setting: str = "ssh.jump") -> list[_Hop]:
    """`[USER@]HOST[:PORT]`, several of them separated by commas, or `none`.

    Raises `ValueError`, whose message names the setting.
    """
    return [] if jump.lower() == "none" else [_hop(each, setting) for each in jump.split(",")]


def _hop(text: str, setting: str) -> _Hop:
    who, at, where = text.strip().removeprefix("ssh://").rpartition("@")
    parts = re.fullmatch(r"(?:\[([^]]+)\]|([^][:\s]+))(?::([0-9]+))?", where)
    if parts is None or (at and not who):
        expected = "is not [USER@]HOST[:PORT]; an IPv6 address goes in brackets"
        raise ValueError(f"`{setting}: {text}` {expected}")
    return _Hop(who if at else None, parts[1] or parts[2], int(parts[3]) if parts[3] else None)


class Routes:
    """The routes of an environment's hosts. The configuration of ssh is read when it is first needed."""

    def __init__(self, ssh: Ssh) -> None:
        self.ssh = ssh
        self._made: dict[Host, Route] = {}

    @cached_property
    def _config(self) -> SshConfig | None:
        path = Path(self.ssh.config).expanduser()
        if self.ssh.config == "none":
            return None
        if path != Path(Ssh.config).expanduser() and not path.exists():
            raise UnusableConfig(f"{path}: is not there; see `ssh.config`")
        return SshConfig(str(path))

    def of(self, host: Host) -> Route:
        """How a host is reached. Raises `Refused` where that cannot be told, or where ssh's configuration
        leads to another host of the environment."""
        try:
            if host not in self._made:
                self._made[host] = self._host(host)
            return self._made[host]
        except UnusableConfig as error:
            raise Refused(host.name, f"{error} {Message.SSH_CONFIG}") from None
        except ValueError as error:
            raise Refused(host.name, str(error)) from None

    def remarks(self, hosts: Iterable[Host]) -> list[str]:
        """What is not followed of ssh's configuration on the way to the hosts, each line once."""
        found: list[Route] = []
        for host in hosts:
            with suppress(Refused):
                found.append(self.of(host))
        return remarks(found)

    def _host(self, host: Host) -> Route:
        own, ssh = host.ssh or HostSsh(), self.ssh
        user, port = own.user or ssh.user, own.port or ssh.port
        found = self._lookup(host.name, host.address, user, port, DEFAULT_USER)
        route = self._route(host.name, host.address, user, port, found, DEFAULT_USER)
        self._check_it_is_no_other(host, found, route.address)
        origins = {
            "address": "hosts.address" if host.address else route.origins["address"],
            "user": _said_by(own.user, ssh.user, "user") or route.origins["user"],
            "port": _said_by(own.port, ssh.port, "port") or route.origins["port"],
        }
        route, origins["identity"] = self._with_identities(route, own.identity, found)
        if jump := own.jump or ssh.jump:
            origins["jump"] = "hosts.ssh.jump" if own.jump else "ssh.jump"
            hops, hop_user = jump_hosts(jump, origins["jump"]), ssh.user or None
            via = self._chain(hops, (), hop_user, DEFAULT_USER)
        else:
            via, origins["jump"] = self._configured_jump(host.name, found, ())
        if alias := found.first("hostkeyalias"):
            origins["host key"] = alias.where
        return replace(route, via=via, origins=origins)

    def _lookup(
        self, name: str, address: str | None, user: str | None, port: int | None, default_user: str
    ) -> HostSettings:
        given = {"hostname": address, "user": user, "port": str(port) if port else None}
        known = {key: value for key, value in given.items() if value is not None}
        return self._config.lookup(name, known, default_user) if self._config else HostSettings()

    def _route(
        self,
        name: str,
        address: str | None,
        user: str | None,
        port: int | None,
        found: HostSettings,
        default_user: str,
    ) -> Route:
        host_name, login, number = (found.first(each) for each in ("hostname", "user", "port"))
        alias = found.first("hostkeyalias")
        where = address or (_expand(host_name, {"h": name}) if host_name else name)
        at = port or (_port(number) if number else DEFAULT_PORT)
        # A pin of its own name counts before one that only ssh's configuration leads to.
        labels = [host_label(name, at), *([alias.value.lower()] if alias else [])]
        labels += [host_label(where, at)] if address or not alias else []
        origins = {
            "address": host_name.where if host_name else "default",
            "user": login.where if login else "default",
            "port": number.where if number else "default",
        }
        return Route(
            name=name,
            address=where,
            port=at,
            user=user or (login.value if login else default_user),
            labels=tuple(dict.fromkeys(labels)),
            alias=alias.value.lower() if alias else None,
            origins=origins,
            remarks=tuple(found.remarks),
        )

    def _with_identities(self, route: Route, own: str | None, found: HostSettings) -> tuple[Route, str]:
        """The route with the keys to log in with, and what has said them."""
        if given := own or self.ssh.identity:
            origin = "hosts.ssh.identity" if own else "ssh.identity"
            return replace(route, identities=(given,), agent=False), origin
        names = [each for each in found.found.get("identityfile", ()) if each.value.lower() != "none"]
        certificate = found.first("certificatefile")
        only = found.first("identitiesonly")
        made = replace(
            route,
            identities=tuple(_path(each, route) for each in names),
            certificate=_path(certificate, route) if certificate else None,
            agent=not (only and only.value.lower() == "yes"),
        )
        return made, names[0].where if names else "default"

    def _check_it_is_no_other(self, host: Host, found: HostSettings, address: str) -> None:
        """An alias or an address from ssh's configuration never makes a host another one of ours."""
        others = self.ssh.hosts - {host.name.lower(), (host.address or host.name).lower()}
        for said in (found.first("hostname"), found.first("hostkeyalias")):
            if said and {said.value.lower(), address.lower()} & others:
                raise UnusableConfig(
                    f"{said.where}: {host.name} would be taken for another host of the environment;"
                    " correct it there, or set `ssh.config: none`"
                )

    def _configured_jump(
        self, name: str, found: HostSettings, trail: tuple[str, ...]
    ) -> tuple[Route | None, str]:
        command, jump = found.first("proxycommand"), found.first("proxyjump")
        if command and command.value.lower() != "none":
            raise UnusableConfig(
                f"{command.where}: {name} is reached by a ProxyCommand, and no command of that file is run"
                " here; use ProxyJump there, or set `jump:` for the host (`none`: it is reached directly)"
            )
        if jump is None:
            return None, command.where if command else "default"
        user = getpass.getuser()
        hops = jump_hosts(_expand(jump, {"h": name, "n": name}), f"{jump.where}: ProxyJump")
        if hops and hops[0].host in (*trail, name):
            raise UnusableConfig(
                f"{jump.where}: the jump host {hops[0].host} would be reached through itself; leave it out of"
                f" that section with `!{hops[0].host}`"
            )
        return self._chain(hops, (*trail, name), None, user), jump.where

    def _chain(
        self, hops: Sequence[_Hop], trail: tuple[str, ...], user: str | None, default_user: str
    ) -> Route | None:
        """The last of some jump hosts, each reached by the one before it. Only the first goes on by what
        ssh's configuration says of its own way, as with `ssh -J`."""
        via: Route | None = None
        for number, hop in enumerate(hops):
            login = hop.user or user
            found = self._lookup(hop.host, None, login, hop.port, default_user)
            route = self._route(hop.host, None, login, hop.port, found, default_user)
            route, _ = self._with_identities(route, None, found)
            if number == 0:
                via, _ = self._configured_jump(hop.host, found, trail)
            via = replace(route, via=via)
        return via


def _said_by(own: object, shared: object, name: str) -> str:
    return f"hosts.ssh.{name}" if own else f"ssh.{name}" if shared else ""


def _port(said: ConfigValue) -> int:
    if said.value.isdecimal() and 0 < int(said.value) < 65536:
        return int(said.value)
    raise UnusableConfig(f"{said.where}: `Port {said.value}` is no port (1 to 65535)")


def _path(said: ConfigValue, route: Route) -> str:
    local = socket.gethostname()
    tokens = {
        "d": str(Path.home()), "h": route.address, "i": str(os.getuid()), "L": local.partition(".")[0],
        "l": local, "n": route.name, "p": str(route.port), "r": route.user, "u": getpass.getuser(),
    }  # fmt: skip
    return str(Path(os.path.expandvars(_expand(said, tokens))).expanduser())


def _expand(said: ConfigValue, tokens: Mapping[str, str]) -> str:
    """A value with its `%`-tokens replaced: ssh_config(5), TOKENS. Raises `UnusableConfig`."""

    def value(token: re.Match[str]) -> str:
        known = {"%": "%", **tokens}
        if token[1] not in known:
            raise UnusableConfig(
                f"{said.where}: `%{token[1]}` is not understood here; write what it stands for"
            )
        return known[token[1]]

    return re.sub("%(.?)", value, said.value)
