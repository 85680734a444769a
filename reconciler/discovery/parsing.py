"""The answers of a survey, parsed into settings of an environment file. Pure.

All of it is data from hosts: what is not understood is left out. `seen` has the answers by the labels of
`Survey.ask`, `output` the text that its commands printed, by the same labels.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from reconciler import x509
from reconciler.blueprint.renewal import settings
from reconciler.blueprint.templates import MARK
from reconciler.environment.certificate import CURVES, Fallback
from reconciler.model import Value

JOB = "/etc/cron.d/reconcile-certificate"
PACKAGED = "/etc/cron.d/certbot"
"""The job of Debian's package, which does nothing on a host that runs systemd."""
OUR_SITES = {"cn-port80.conf", "cn-ssl.conf", "000-default.conf"}
"""The sites that the blueprint declares."""

Found = Iterable[tuple[str, str]]


def words(text: str) -> list[str]:
    """The words of a shell text without their quotes; none where the quotes do not match."""
    try:
        return shlex.split(text)
    except ValueError:
        return []


def properties(seen: Mapping[str, Any]) -> dict[str, Value]:
    """What node.properties says: the router, the hosts as one text, and the certificate's file."""
    return {
        "router": next(iter(seen["cn.router.hostname"]), None),
        "hosts": " ".join(dict.fromkeys(" ".join(seen["environment.hosts"]).split())) or None,
        "public": next(iter(seen["cn.server.publiccert.filename"]), None),
    }


def account(output: str) -> dict[str, Value]:
    """The sync account, and how many keys that are not ours open it (`account.sh`)."""
    entry, _, keys = output.strip().partition("\n")
    name, _, home = entry.partition(":")
    if not home:
        return {}
    other = int(keys) if keys.isdigit() else 0
    usual = home == f"/home/{name}"
    return {"sync.account": name, "sync.home": None if usual else home, "other keys": other or None}


def services(output: Mapping[str, str], seen: Mapping[str, Any]) -> dict[str, Value]:
    """The services that run, of several versions the newest, and how they get the certificate."""
    units = output["units"].split()
    postgresql = _newest(re.findall(r"postgresql@([0-9.]+)-main\.service", " ".join(units)))
    tomcat = _newest(re.findall(r"tomcat([0-9]+)\.service", " ".join(units)))
    found: dict[str, Value] = {"services.apache": "apache2.service" in units}
    if postgresql:
        data = f"/var/lib/postgresql/{postgresql}/main/server.crt"
        settings = [*seen["settings"], *seen["more settings"]]
        # Debian's postgresql.conf includes conf.d at its end, and the last setting wins.
        mine = [line for path, line in settings if path.startswith(f"/etc/postgresql/{postgresql}/")]
        file = mine[-1].partition("=")[2].strip().strip("'") if mine else ""
        # A relative name is one in the data directory, where server.crt is the default.
        linked = data in output["links"].split() and file in ("", "server.crt", data)
        found["services.postgresql"] = postgresql
        found["services.postgresql_certificate"] = "links" if linked else "settings"
    if tomcat:
        found["services.tomcat"] = tomcat
        found["services.portal"] = f"/var/lib/tomcat{tomcat}/" in output["portals"]
        found["services.tomcat_tls.port"] = _tls_port(output["connectors"], f"/etc/tomcat{tomcat}/server.xml")
    return found


def _newest(versions: list[str]) -> str | None:
    return max(versions, key=lambda version: [int(part) for part in version.split(".") if part], default=None)


def _tls_port(connectors: str, file: str) -> int | None:
    """The port of the connector that does TLS, in what `connectors.sh` printed."""
    _, _, mine = connectors.partition(f"file={file}\n")
    for connector in mine.partition("file=")[0].split("<Connector")[1:]:
        # Up to the next element, which may be one within the connector and have a port too.
        own = connector.partition("<")[0]
        port = re.search(r'port="([0-9]{1,5})"', own)
        if port and 'SSLEnabled="true"' in own:
            return int(port[1])
    return None


def sites(lines: Found, router: str | None) -> dict[str, Value]:
    """What Apache's vhosts of this name say, and which other sites answer to it."""
    blocks: list[tuple[str, dict[str, str]]] = []
    for path, line in lines:
        name, _, value = line.partition(" ")
        if name.lower() == "<virtualhost":
            blocks.append((path, {}))
        elif blocks and blocks[-1][0] == path:
            key = f"{name} {words(value)[0]}" if name.lower() == "alias" and words(value) else name
            blocks[-1][1][key.lower()] = (words(value) or [""])[-1]
    mine = [block for _, block in blocks if router in (None, block.get("servername"))]
    challenge = _first(mine, "alias /.well-known/acme-challenge/") or _first(
        mine, "alias /.well-known/acme-challenge"
    )
    same = {path.rpartition("/")[2] for path, block in blocks if block.get("servername") in (None, router)}
    others = sorted(same - OUR_SITES)
    return {
        "services.client_ca": _first(mine, "sslcacertificatefile"),
        "paths.challenge": challenge.rstrip("/") if challenge else None,
        "other sites": " ".join(others) or None,
    }


def _first(blocks: Iterable[Mapping[str, str]], name: str) -> str | None:
    return next((block[name] for block in blocks if block.get(name)), None)


def lineage(seen: Mapping[str, Any], router: str | None) -> dict[str, Value]:
    """The lineage that certbot has for this router: its CA, and the names, key, days of its certificate."""
    servers = {lineage_of(path): line.removeprefix("server = ") for path, line in seen["lineages"]}
    leaves: dict[str, Any] = {}
    for path, pem in seen["leaves"]:
        try:
            leaves[path.split("/")[-2]] = x509.chain(pem)[0]
        except (x509.Unreadable, IndexError):
            continue
    fitting = [n for n in servers if n == router] or [
        n for n in servers if router is None or (n in leaves and router in x509.names(leaves[n]))
    ]
    if not fitting:
        return {}
    name = fitting[0]
    found: dict[str, Value] = {"lineage": name, "certificate.server": servers[name]}
    if name in leaves:
        begin, end = x509.window(leaves[name])
        found["names"] = " ".join(x509.names(leaves[name]))
        found["key"] = x509.key_type(leaves[name])
        found["certificate.lifetime"] = round((end - begin).total_seconds() / 86400)
    return found


def lineage_of(conf: str) -> str:
    """The lineage that a file of certbot's `renewal` is about."""
    return conf.rpartition("/")[2].removesuffix(".conf")


def variables(lines: Found) -> dict[str, str]:
    """What a renewal script of ours assigns: settings stand at its top, so the first of a name counts."""
    pairs = [line.partition("=") for _, line in lines if not line.startswith("#")]
    return {name: (words(value) or [""])[0] for name, _, value in reversed(pairs)}


def times_of_job(lines: Found) -> dict[str, Value]:
    """When a cron job of ours renews, and how far that is put off at random."""
    found: dict[str, Value] = {}
    for _, line in lines:
        fields = line.split()
        found["schedule"] = " ".join(fields[:5])
        found["jitter"] = int(fields[-1]) if fields[-1].isdigit() else None
    return found


def key_settings(key: Value, script: Mapping[str, Value]) -> dict[str, Value]:
    """`key_type` and `key_size` by the key of a certificate, where a script of ours does not say them."""
    kind, _, size = str(key or "").partition(" ")
    curves = {curve: name for name, curve in CURVES.items()}
    found: dict[str, Value] = {}
    if "key_size" not in script and size in ("3072", "4096"):
        found["key_size"] = int(size)
    if "key_type" not in script and kind == "ECDSA" and size in curves:
        found["key_type"] = curves[size]
    return found


def second_ca(of: Mapping[str, Value], email: Value) -> Fallback | None:
    """The fallback that a script of ours names; `email` is the contact at the first CA."""
    if not (server := of.get("fallback_server")):
        return None
    contact = of.get("fallback_email")
    return Fallback(
        server=str(server),
        email=None if contact in (None, email) else str(contact),
        ca_bundle=str(of.get("fallback_ca_bundle") or "") or None,
    )


def renewal(seen: Mapping[str, Any], output: Mapping[str, str]) -> dict[str, Value]:
    """How the certificate is renewed: by our script and job, or by others."""
    script = variables(seen["script"])
    found = {f"certificate.{name}": value for name, value in settings(script).items()}
    contacts = [each.strip('"').removeprefix("mailto:") for each in output["contact"].splitlines()]
    if contacts and not script:
        found["certificate.email"] = contacts[0]
    found |= {f"certificate.{name}": value for name, value in times_of_job(seen["job"]).items()}
    marks = [line for _, line in (*seen["script"], *seen["mark"]) if line.startswith(MARK)]
    found_jobs = [path for path in output["renews"].splitlines() if path not in (JOB, PACKAGED)]
    elsewhere = [path for path in found_jobs if not path.startswith(f"{JOB}-")]
    return found | {
        "certificate.administrators": _recipient(seen["notice"]) or _recipient(seen["old notice"]),
        "environment": marks[0].removeprefix(MARK).partition(";")[0] if marks else None,
        "renewed by": " ".join([*(path for path, _ in seen["job"]), *elsewhere]) or None,
        "left alone": " ".join(elsewhere) or None,
        "timer": True if "certbot.timer" in output["units"].split() else None,
        "paths.certificate": _certificate_link(seen, output["ours"]),
    }


def _recipient(lines: Found) -> str | None:
    """Who gets the notice of a renewal: the value of a variable, or the last word of `mail -s … x`."""
    for _, line in lines:
        name, _, value = line.partition("=")
        if name in ("ADMIN", "administrators"):
            return next(iter(words(value)), None)
        named = [word for word in words(line.partition("<<")[0]) if "$" not in word]
        if line.startswith("mail -s ") and len(named) > 3:
            return named[3]
    return None


def _certificate_link(seen: Mapping[str, Any], links: str) -> str | None:
    """The folder from which services read the certificate, if that is a link to ours."""
    public = next(iter(seen["cn.server.publiccert.filename"]), "")
    folder = public.rpartition("/")[0]
    return folder if folder in links.splitlines() else None
