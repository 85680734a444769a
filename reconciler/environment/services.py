"""What uses the certificate on the hosts: settings, and nothing that acts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from reconciler.environment.patterns import PORT, VERSION
from reconciler.kinds.paths import LINE, NAME, PLAIN
from reconciler.kinds.service import CHECK, ON_CHANGE, PATHS, UNIT
from reconciler.model import option
from reconciler.questions.tls import PROTOCOLS

FORMS: Final[Mapping[str, tuple[str, ...]]] = {
    "pem": ("bundle.pem",),
    "pkcs12": ("keystore.p12",),
    "der": ("cert.der", "privkey.der"),
}
"""The files that a release has for each form that a consumer may read."""


@dataclass(frozen=True, kw_only=True)
class TomcatTls:
    """Tomcat's TLS connector, where it has one; its files are `paths.certificate`'s."""

    port: int = option("Its port.", default=8443, schema=PORT)
    reload: str | None = option(
        "The command that makes it load another certificate, run as root; by default a restart.",
        default=None,
        schema=LINE,
    )


@dataclass(frozen=True, kw_only=True)
class Services:
    """The services that use the certificate; a version is part of paths and unit names."""

    apache: bool = option("Whether Apache serves the certificate on port 443.", default=True)
    apache_also: str | None = option(
        "The `name` of the one of `certificates` that Apache serves beside the environment's own, with the"
        " other kind of key, RSA or ECDSA, and the same names: each client is shown the one that it takes.",
        default=None,
        schema=LINE,
    )
    client_ca: str | None = option(
        "The CA bundle that Apache verifies client certificates with.", default=None, schema=PLAIN
    )
    postgresql: str | None = option(
        "The major version of PostgreSQL; none if it is not used.", default=None, schema=VERSION
    )
    postgresql_certificate: str = option(
        "How PostgreSQL finds the certificate: `settings` (ssl_cert_file), or `links` in its data directory.",
        default="settings",
        schema={"enum": ["settings", "links"]},
    )
    tomcat: str | None = option(
        "The major version of Tomcat; none if it is not used.", default=None, schema=VERSION
    )
    tomcat_tls: TomcatTls | None = None
    portal: bool = option(
        "Whether Tomcat runs the portal, which signs its tokens with the key.", default=False
    )


@dataclass(frozen=True, kw_only=True)
class Consumer:
    """One more service that uses the certificate: it is told of a new one, and proven like the others. Its
    own configuration, a `file` of `resources`, names the files in `paths.certificate`; those of a
    further one that is ordered are in /var/lib/reconciler/certificates/NAME/current. A second paragraph for
    the same port, with another `certificate`, has the service show each client the one whose kind of key, RSA
    or ECDSA, it takes."""

    unit: str = option("Its systemd unit, such as `nginx`.", schema=UNIT)
    port: int = option("The port on which it serves the certificate.", schema=PORT)
    protocol: str = option(
        "`tls` where TLS begins with the first byte, else the protocol in which a client asks for it.",
        default="tls",
        schema={"enum": list(PROTOCOLS)},
    )
    package: str | None = option("The Debian package that brings it.", default=None, schema=NAME)
    check: str | None = option(CHECK, default=None, schema=LINE)
    loads: tuple[str, ...] = option(
        "Files and folders of its configuration; a change of any is loaded by a reload. Not the certificate,"
        " nor a folder with links to it.",
        default=(),
        schema=PATHS,
    )
    on_change: str = option(
        "How it loads them, and another certificate: `reload`, or `restart` where it must.",
        default="reload",
        schema=ON_CHANGE,
    )
    reloads_itself: bool = option(
        "It loads another certificate by itself: nothing is done to it, and it has `certificate: deadline`"
        " to serve that.",
        default=False,
    )
    form: str | None = option(
        "What it reads beside certbot's four files: `pem` is `bundle.pem`, the key and then the chain;"
        " `pkcs12` is `keystore.p12` with the password `changeit`; `der` is `cert.der` and `privkey.der`.",
        default=None,
        schema={"enum": list(FORMS)},
    )
    user: str | None = option(
        "The account that reads the key, where that is not root: it becomes a member of `ssl-cert`, or of the"
        " `group` of the brought certificate.",
        default=None,
        schema=NAME,
    )
    certificate: str | None = option(
        "The `name` of the one of `certificates` that it serves; by default the environment's own.",
        default=None,
        schema=LINE,
    )
    hosts: tuple[str, ...] | None = option(
        "The hosts it is on: names, groups, `primary`, `replicas`; all by default.",
        default=None,
        schema={"minItems": 1, "items": {"type": "string"}},
    )

    @property
    def where(self) -> tuple[str, int]:
        """The unit, without what systemd adds to its name, and the port."""
        return self.unit.removesuffix(".service"), self.port


def of_one_unit(consumers: Iterable[Consumer]) -> list[Consumer]:
    """The same, where each says what any paragraph of its unit does: the ports of a service are checked and
    told as one, so what holds for the unit may stand in whichever paragraph."""
    each = list(consumers)
    units: dict[str, list[Consumer]] = {}
    for one in each:
        units.setdefault(one.where[0], []).append(one)
    return [_merged(one, units[one.where[0]]) for one in each]


def _merged(one: Consumer, unit: list[Consumer]) -> Consumer:
    checks = dict.fromkeys(each.check for each in unit if each.check)
    return replace(
        one,
        unit=unit[0].unit,
        check=" && ".join(checks) or None,
        loads=tuple(dict.fromkeys(path for each in unit for path in each.loads)),
        on_change="restart" if any(each.on_change == "restart" for each in unit) else "reload",
        reloads_itself=any(each.reloads_itself for each in unit),
    )
