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


def served(made: Environment) -> list[str]:
    """The certificate and the key that services are to read."""
    return [f"{made.paths.certificate}/{name}.pem" for name in ("fullchain", "privkey")]


def script(text: Text, made: Environment) -> str:
    """Shows what the program makes of it."""
    reader, content = text
    words = shlex.join([made.sync.account, *served(made), made.services.client_ca])
    return (
        f"printf %s {shlex.quote(content)} >text; : >made; set -- {words}; account=$1; shift; {NAMED}"
        f'set -- "$account"; {{ {READERS[reader]}; }} </dev/null 2>&1; xargs -0r rm -rf -- <made\n'
    )


def without_values(text: Text, said: str, made: Environment) -> str:
    """What a program said, without the values that an environment is free to choose."""
    if text[0] == "/etc/sudoers.d/":
        return said.replace(f'"{made.sync.account}"', "ACCOUNT")
    if text[0] == "/etc/postgresql/":
        files = served(made)
        return "\n".join("SERVED" if line in files else line for line in said.splitlines())
    if text[0] == "/etc/apache2/":  # AH00111: a variable that is not defined
        return " ".join(re.findall(r"AH00111|^ *</?\w+|^ *\w+", said, re.MULTILINE))
    return said


def read(host: LabHost, texts: list[tuple[Text, Environment]]) -> Iterator[str]:
    """What the programs make of each text, many in one exchange."""
    for first in range(0, len(texts), 100):
        some = texts[first : first + 100]
        # Each in a shell of its own: one that ends early ends nothing but itself.
        scripts = "".join(f"(\n{script(*each)})\nprintf '\\0'\n" for each in some)
        *said, rest = host.run(f"cd {FOLDER} && exec sh", stdin=scripts, check=False).stdout.split("\0")
        assert rest == ""
        assert len(said) == len(some), (rest, some[len(said)])
        for (text, made), each in zip(some, said, strict=True):
            yield without_values(text, each, made)


@pytest.fixture(scope="module")
def right() -> Environment:
    made = environment([])
    assert made is not None
    return made


def test_a_program_reads_a_value_as_a_value_and_no_more(host: LabHost, right: Environment) -> None:
    wanted: dict[str, set[str]] = {reader: set() for reader in READERS}
    expected = list(texts(right))
    for (reader, _), said in zip(expected, read(host, [(each, right) for each in expected]), strict=True):
        wanted[reader].add(said)
    assert all(wanted.values())
    tried: dict[Text, tuple[str, Environment]] = {}
    for _, value, made in accepted(MANY or 300, 2, OURS):
        tried |= dict.fromkeys(texts(made), (value, made))
    all_said = read(host, [(text, made) for text, (_, made) in tried.items()])
    for (text, (value, _)), said in zip(tried.items(), all_said, strict=True):
        assert said in wanted[text[0]], (value, text)


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
        more, as_it_is = read(host, [((reader, text + MORE[reader]), right), ((reader, text), right)])
        assert more != as_it_is, reader
