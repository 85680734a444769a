"""Certificates whose key is thought compromised: replaced, rolled out, then revoked."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.blueprint import templates
from reconciler.blueprint.managed import Managed, managed
from reconciler.blueprint.parts import part
from reconciler.environment.settings import Environment, Host
from reconciler.kinds.certificate.compromised import Compromised, canonical
from reconciler.kinds.certificate.revocation import Revocation
from reconciler.kinds.certificate.store import STATE
from reconciler.kinds.file import File
from reconciler.kinds.package import Package
from reconciler.model import Ref, Resource
from reconciler.subjects import Subject


@part(Subject.CERTIFICATE)
def revoked(env: Environment, host: Host) -> Iterable[Resource]:
    """On the primary: each certificate that is declared compromised, once no host that answers serves it."""
    for each in managed(env) if host.primary else ():
        for serial in compromised(each).serials:
            yield Revocation(
                host=host.name,
                serial=serial,
                script=each.script,
                record=each.store.revoked,
                held=_shell(each, "held_now", serial),
                lineage=each.lineage,
                serving=each.rollout.serving,
                # What cannot be seen of the lineage holds it up; of a host, `Revocation.want` says what does.
                needs=(
                    each.lineage,
                    Ref(host.name, File.kind, each.script),
                    Ref(host.name, Package.kind, "certbot"),
                ),
            )


def compromised(each: Managed) -> Compromised:
    """What is declared of a certificate that is ordered."""
    serials = tuple(dict.fromkeys(map(canonical, each.settings.compromised)))
    return Compromised(serials, _shell(each, "key_sums", *serials))


def _shell(each: Managed, name: str, *serials: str) -> str:
    """What a look runs of the renewal script: one of the functions that change nothing."""
    settings = {"folder": each.env.paths.letsencrypt, "state": STATE}
    parts = dict.fromkeys(("held", name))
    return f"{templates.functions('revoke.sh', parts, settings)}\n{' '.join((name, *serials))}"
