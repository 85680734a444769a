"""The environment file of a fleet, as an administrator would write it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from lab import recipe
from lab.ca import Authority


class _Named(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def address(self) -> str: ...


def environment_text(
    hosts: Sequence[_Named],
    *,
    router: str,
    identity: Path,
    known_hosts: Path,
    ca: Authority,
    primary: int = 0,
    retired: Iterable[_Named] = (),
    user: str = "ops",
    manage: bool = True,
    more: str = "",
) -> str:
    """YAML for these hosts; `primary` is the index of the one that runs certbot, `manage` is
    whether the certificate is a matter of the environment, `more` is appended as it is."""
    schema = Path(__file__).resolve().parent.parent / "schemas" / "environment.schema.json"
    gone = "".join(_host(host) for host in retired)
    return f"""\
# yaml-language-server: $schema={schema}
environment: lab
router: {router}

hosts:
{"".join(_host(host, primary=n == primary) for n, host in enumerate(hosts))}
{f"retired:{chr(10)}{gone}" if gone else ""}
ssh:
  user: {user}
  identity: {identity}
  known_hosts: {known_hosts}
  timeout: 20

certificate:
  administrators: root@localhost
  manage: {str(manage).lower()}
  server: {ca.directory}
  roots: {ca.roots}
  resolver: {ca.address}
  jitter: 0

services:
  postgresql: "15"
  tomcat: "10"
  tomcat_tls:
    port: 8443
    reload: {recipe.TOMCAT_RELOAD}
  portal: true
{more}"""


def _host(host: _Named, *, primary: bool = False) -> str:
    mark = "\n    primary: true" if primary else ""
    return f"  - name: {host.name}\n    address: {host.address}{mark}\n"
