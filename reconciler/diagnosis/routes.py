"""How each host is reached, and what has said so. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from reconciler.diagnosis.checks import PROBLEM, SSH, WARNING, YOU, HealthCheck
from reconciler.environment.settings import Environment
from reconciler.fleet.routes import Route, remarks
from reconciler.model import quote


def judge(
    environment: Environment, routes: Mapping[str, Route], refused: Mapping[str, str]
) -> Iterable[HealthCheck]:
    """What each host's settings of ssh are and where they come from, by host; `refused` has those of which
    that cannot be told, with the reason. What is not followed of ssh's configuration is told once."""
    for host, why in refused.items():
        yield HealthCheck(
            group=SSH,
            subject=host,
            verdict=PROBLEM,
            found=why,
            expected="a way to the host that needs no command run on this machine",
            owner=YOU,
            command=f"${{EDITOR:-vi}} {quote(environment.file)}",
        )
    for host, route in routes.items():
        yield HealthCheck(group=SSH, subject=host, found=_described(route))
    for remark in remarks(routes.values()):
        yield HealthCheck(
            group=SSH,
            subject=remark.partition(": ")[0],
            verdict=WARNING,
            found=remark.partition(": ")[2],
            expected="the hosts are reached without it; if not, say how in the environment file",
            owner=YOU,
            command=f"${{EDITOR:-vi}} {quote(environment.file)}",
        )


def _described(route: Route) -> str:
    """The settings, each with what has said it where it is not simply the default."""
    shown = {
        "user": route.user,
        "address": route.address,
        "port": str(route.port),
        "identity": ", ".join(route.identities) or "the agent's keys",
        "jump": route.jump or "none",
        "host key": f"that of {route.alias}" if route.alias else "",
    }
    return "; ".join(
        f"{name} {value} ({route.origins.get(name, 'default')})" for name, value in shown.items() if value
    )
