"""The survey of a host: what it is like, before an environment file declares it. Pure.

A survey is a resource that is only observed. Its state has a field for each setting of an environment
file that the host shows, under the setting's own name (`certificate.server`), and the facts that
`discovery.environment` weighs them by. No private key is asked for, and no password.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from reconciler.blueprint.renewal import OPTIONAL, SETTINGS
from reconciler.blueprint.templates import MARK
from reconciler.discovery import further, parsing
from reconciler.discovery.parsing import JOB
from reconciler.kinds.certificate.release import Current
from reconciler.model import CannotSee, Question, Resource, Seen, Value
from reconciler.questions.finding import LeavesQuestion, LinesQuestion
from reconciler.questions.properties import PropertyQuestion
from reconciler.questions.system import CommandQuestion

PROPERTIES = "/etc/dataone/node.properties"
FOLDER = "/etc/letsencrypt"


def _shell(name: str) -> str:
    return (pkgutil.get_data(__package__, name) or b"").decode("utf-8")


ACCOUNT = _shell("account.sh")
CONNECTORS = _shell("connectors.sh")

UNITS = (
    "systemctl list-units --plain --no-legend --no-pager --state=active 'postgresql@*.service'"
    " 'tomcat[0-9]*.service' apache2.service certbot.timer | cut -d' ' -f1"
)
PORTALS = "ls -d /var/lib/tomcat[0-9]*/webapps/portal/WEB-INF/portal.properties 2>/dev/null"
# certbot keeps an account's registration, with its contact, below accounts/SERVER/directory/ID/.
CONTACT = f'grep -ohE \'"mailto:[^"]+"\' {FOLDER}/accounts/*/*/*/regr.json 2>/dev/null'
RENEWS = (
    "grep -lsw certbot /etc/cron.d/* /etc/cron.daily/* /etc/cron.weekly/* /etc/cron.monthly/* /etc/crontab"
)
DATA_LINKS = "find /var/lib/postgresql/*/main -maxdepth 1 -type l -name 'server.crt' 2>/dev/null"
OURS = f"find /etc /opt /srv -maxdepth 3 -lname {Current.path} 2>/dev/null"
"""The links by which services reach the certificate in use."""

STORES = "ls -d /var/lib/reconciler/certificates/*/current 2>/dev/null"
"""The same links to further certificates."""

SITE = r"^[[:space:]]*(<VirtualHost|ServerName|Alias|SSLCACertificateFile)[[:space:]]"
# LinesQuestion matches in capitals or not: what is read here is parsed once more.
SCRIPT = f"^({'|'.join((*SETTINGS, *OPTIONAL))})=|^{MARK}"
NOTICE = "^(administrators=|mail -s )"
"""Before it had settings, the notice named the recipient in its command."""


@dataclass(frozen=True, kw_only=True)
class Survey(Resource):
    """A host as it is. `router` is given if node.properties does not name it."""

    kind: ClassVar[str] = "survey"
    title: ClassVar[str] = "label"
    label: ClassVar[str] = "node"

    router: str | None = None

    def ask(self) -> Mapping[str, Question]:
        keys = ("cn.router.hostname", "environment.hosts", "cn.server.publiccert.filename")
        return {
            **{key: PropertyQuestion(PROPERTIES, key) for key in keys},
            "account": CommandQuestion(ACCOUNT),
            "units": CommandQuestion(UNITS),
            "portals": CommandQuestion(PORTALS),
            "contact": CommandQuestion(CONTACT),
            "renews": CommandQuestion(RENEWS),
            "links": CommandQuestion(DATA_LINKS),
            "ours": CommandQuestion(OURS),
            "connectors": CommandQuestion(CONNECTORS),
            "lineages": LinesQuestion(f"{FOLDER}/renewal/*.conf", "^server = "),
            "leaves": LeavesQuestion(f"{FOLDER}/live/*/cert.pem"),
            "in the dns": LinesQuestion(f"{FOLDER}/renewal/*.conf", "^(pref_challs|authenticator) = dns"),
            "further scripts": LinesQuestion(f"{FOLDER}/renewal/certificate-*.sh", SCRIPT),
            "further jobs": LinesQuestion(f"{JOB}-*", r"^[0-9*].* sh .*certificate-.*\.sh renew"),
            "stores": CommandQuestion(STORES),
            "script": LinesQuestion(f"{FOLDER}/renewal/certificate.sh", SCRIPT),
            "job": LinesQuestion(JOB, r"^[0-9*].* sh .*certificate\.sh renew"),
            "sites": LinesQuestion("/etc/apache2/sites-enabled/*", SITE),
            "mark": LinesQuestion("/etc/apache2/sites-available/cn-port80.conf", SCRIPT),
            "settings": LinesQuestion("/etc/postgresql/*/main/postgresql.conf", "^[[:space:]]*ssl_cert_file"),
            "more settings": LinesQuestion(
                "/etc/postgresql/*/main/conf.d/*.conf", "^[[:space:]]*ssl_cert_file"
            ),
            "old notice": LinesQuestion(f"{FOLDER}/renew*hook*/*", "^ADMIN="),
            "notice": LinesQuestion(f"{FOLDER}/renewal-hooks/deploy/notify-administrators", NOTICE),
        }

    def read(self, answers: Mapping[str, Any], now: datetime) -> Seen:
        hidden = sorted(label for label, answer in answers.items() if isinstance(answer, CannotSee))
        seen: dict[str, Any] = {label: () if label in hidden else answer for label, answer in answers.items()}
        output = {label: str(seen[label].output) if seen[label] else "" for label in _COMMANDS}
        router = self.router or next(iter(seen["cn.router.hostname"]), None)
        own = parsing.lineage(seen, router)
        state: dict[str, Value] = {
            **parsing.properties(seen),
            **parsing.account(output["account"]),
            **parsing.services(output, seen),
            **parsing.sites(seen["sites"], router),
            **own,
            **further.shown(seen, output["stores"], own.get("lineage"), now),
            **parsing.renewal(seen, output),
        }
        if hidden:
            state["hidden"] = ", ".join(hidden)
        return {name: value for name, value in state.items() if value is not None}


_COMMANDS = ("account", "units", "portals", "contact", "renews", "links", "ours", "connectors", "stores")
