"""The lineage of one host and its renewal script, as the blueprint declares them."""

from __future__ import annotations

from typing import Any

from reconciler.blueprint import resources
from reconciler.environment.certificate import Certificate
from reconciler.environment.settings import Environment, Host
from reconciler.kinds.certificate.lineage import Lineage
from reconciler.kinds.file import File


def made(**settings: Any) -> tuple[Lineage, str]:
    """Both, with these settings of `certificate`."""
    env = Environment(
        name="e",
        router="r",
        hosts=(Host(name="h", primary=True),),
        certificate=Certificate(trusted=b"A", **settings),
    )
    found = list(resources(env))
    (lineage,) = (each for each in found if isinstance(each, Lineage))
    (script,) = (each for each in found if isinstance(each, File) and each.path == lineage.script)
    return lineage, script.content or ""
