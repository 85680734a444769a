"""What the blueprint writes for hostile values, read by the programs that it is for: each says the same as for
values that are right, but for the value itself. `RECONCILE_HOSTILE=100000` tries that many.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import pytest

from lab import Fleet, LabHost
from reconciler.blueprint import resources
from reconciler.environment.settings import Environment
from reconciler.kinds.written import WrittenFile
from tests.support.hostile import MANY, OURS, accepted, environment

pytestmark = pytest.mark.fleet

FOLDER = "/srv/read"
MODULES = "/etc/apache2/mods-available"
APACHE = f"""ServerRoot {FOLDER}
ErrorLog {FOLDER}/log
PidFile {FOLDER}/pid
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule info_module /usr/lib/apache2/modules/mod_info.so
Include {MODULES}/authz_core.load
Include {MODULES}/alias.load
Include {MODULES}/socache_shmcb.load
Include {MODULES}/ssl.load
Include {FOLDER}/text
"""
SET = "ssl ssl_cert_file ssl_key_file shared_preload_libraries archive_command"
POSTGRES = (
    f"runuser -u postgres -- /usr/lib/postgresql/15/bin/postgres -D {FOLDER} -c config_file={FOLDER}/text"
)

READERS = {
    # A file that a line names has to be there, so the paths are read as well.
    "/etc/apache2/": f"apache2 -t -D DUMP_CONFIG -f {FOLDER}/apache; echo $?",
    # With the column of the account it is one of a user's too.
    "/etc/cron.d/": "crontab -u nobody text; echo $?",
    "/etc/postgresql/": f"for each in {SET}; do {POSTGRES} -C $each; done",
    "/etc/ssh/sshd_config.d/": 'for u in "$1" nobody; do sshd -T -f text -C user=$u,host=h,addr=192.0.2.1; echo $?; done',
    "/etc/sudoers.d/": "visudo -cf text && cvtsudoers -f json text",
    "#!/bin/sh": "sh -n text; echo $?",
}
"""How a program tells what it reads in the file `text`, by the folder of the file, or by how it begins."""

Text = tuple[str, str]
"""Who reads it, and what it says."""


@pytest.fixture(scope="module")
def host(spare_fleet: Fleet) -> Iterator[LabHost]:
    """A host with the programs."""
    (host,) = spare_fleet.hosts
    host.run(
        f"install -d {FOLDER} /run/sshd; touch {FOLDER}/postgresql.auto.conf; cat >{FOLDER}/apache",
        stdin=APACHE,
    )
    yield host
    host.run(f"rm -r {FOLDER}; crontab -u nobody -r", check=False)


def texts(made: Environment) -> Iterator[Text]:
    """What the blueprint writes."""
    for each in resources(made):
        if isinstance(each, WrittenFile) and each.place is not None and each not in made.resources:
            text = each.body() or ""
            yield from ((of, text) for of in READERS if each.where().startswith(of) or text.startswith(of))


NAMED = r"""for f; do
  [ -e "$f" ] && continue
  top=$f
  while up=${top%/*} && [ "$up" ] && [ ! -e "$up" ]; do top=$up; done
  printf '%s\0' "$top" >>made
  mkdir -p "${f%/*}"; echo x >"$f"
done
"""
"""Makes the files that a text names, and notes what has to go before another text needs a folder there."""


def read(host: LabHost, text: Text, made: Environment) -> str:
    """What the program makes of it, without the values that an environment is free to choose."""
    served = [f"{made.paths.certificate}/{name}.pem" for name in ("fullchain", "privkey")]
    reader, content = text
    words = shlex.join([made.sync.account, *served, made.services.client_ca])
    said = host.run(
        f"cd {FOLDER} && cat >text && : >made && set -- {words} && account=$1 && shift; {NAMED}"
        f'set -- "$account"; {{ {READERS[reader]}; }} 2>&1; xargs -0r rm -rf -- <made',
        stdin=content,
        check=False,
    ).stdout
    if reader == "/etc/sudoers.d/":
        return said.replace(f'"{made.sync.account}"', "ACCOUNT")
    if reader == "/etc/postgresql/":
        return "\n".join("SERVED" if line in served else line for line in said.splitlines())
    if reader == "/etc/apache2/":  # AH00111: a variable that is not defined
        return " ".join(re.findall(r"AH00111|^ *</?\w+|^ *\w+", said, re.MULTILINE))
    return said


@pytest.fixture(scope="module")
def right() -> Environment:
    made = environment([])
    assert made is not None
    return made


def test_a_program_reads_a_value_as_a_value_and_no_more(host: LabHost, right: Environment) -> None:
    wanted: dict[str, set[str]] = {reader: set() for reader in READERS}
    for text in texts(right):
        wanted[text[0]].add(read(host, text, right))
    assert all(wanted.values())
    tried: dict[Text, tuple[str, Environment]] = {}
    for _, value, made in accepted(MANY or 300, 2, OURS):
        tried |= dict.fromkeys(texts(made), (value, made))
    for text, (value, made) in tried.items():
        assert read(host, text, made) in wanted[text[0]], (value, text)


MORE = {
    "/etc/apache2/": "ServerTokens Full\n",
    "/etc/cron.d/": "0 0 0 0 0 root true\n",
    "/etc/postgresql/": "archive_command = 'id'\n",
    "/etc/ssh/sshd_config.d/": "Match all\nPermitRootLogin yes\n",
    "/etc/sudoers.d/": "nobody ALL = (ALL:ALL) ALL\n",
    "#!/bin/sh": "fi\n",
}


def test_a_line_more_is_read_as_a_line_more(host: LabHost, right: Environment) -> None:
    for reader, text in texts(right):
        assert read(host, (reader, text + MORE[reader]), right) != read(host, (reader, text), right), reader
