"""A Pebble and a certbot that know profiles, beside those of the hosts' Debian: Pebble has them since 2.7,
certbot since 4.0. Both are fetched once into the store, by this machine's own apt-get and pip."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from lab import recipe
from lab.commands import LabError, last_line, say
from lab.host import LabHost
from lab.store import locked

SUITE: Final = "testing"
"""The suite of Debian whose Pebble is taken: a static program that needs libc 2.34 (Debian 12 has 2.36)."""
CERTBOT: Final = ("certbot==4.0.0", "acme==4.0.0")
"""The first one with profiles, which is Debian 13's."""
PYTHON: Final = "3.11"
"""That of the hosts."""
KEYRING: Final = "/usr/share/keyrings/debian-archive-keyring.gpg"
WRAPPER: Final = """\
#!/bin/sh
# As Debian's, it trusts what the system trusts.
export PYTHONPATH=/opt/certbot REQUESTS_CA_BUNDLE="${REQUESTS_CA_BUNDLE:-/etc/ssl/certs/ca-certificates.crt}"
exec python3 /opt/certbot/bin/certbot "$@"
"""


def pebble(root: Path) -> Path:
    """The program; LabError where it cannot be had."""
    return _once(root, f"pebble-{SUITE}", _fetch_pebble) / "usr/bin/pebble"


def certbot(root: Path) -> Path:
    """The folder with certbot and all that it needs; LabError where it cannot be had."""
    return _once(root, CERTBOT[0].replace("==", "-"), _fetch_certbot)


def install_certbot(host: LabHost, folder: Path) -> None:
    """Put that certbot before Debian's, on a host that has that one."""
    unpack = host.enter(["sh", "-c", "mkdir -p /opt/certbot && tar -C /opt/certbot -x"])
    with subprocess.Popen(["tar", "-C", str(folder), "-c", "."], stdout=subprocess.PIPE) as tar:
        subprocess.run(unpack, stdin=tar.stdout, check=True, timeout=120)
    host.write("/usr/local/bin/certbot", WRAPPER, 0o755)


def remove_certbot(host: LabHost) -> None:
    """Leave Debian's alone."""
    host.run("rm -rf /usr/local/bin/certbot /opt/certbot")


def _once(root: Path, name: str, fetch: Callable[[Path], None]) -> Path:
    folder = root / "newer" / name
    if folder.is_dir():
        return folder
    with locked(root, "newer"):
        if not folder.is_dir():
            say(f"fetching {name}")
            unfinished = folder.with_name(".unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir(mode=0o755, parents=True)
            fetch(unfinished)
            os.rename(unfinished, folder)
    return folder


def _fetch_pebble(folder: Path) -> None:
    """Of this machine apt-get knows the mirror alone: neither its lists nor its packages change."""
    asked = (
        "apt-get",
        "indextargets",
        "--format",
        "$(REPO_URI) $(RELEASE) $(COMPONENT)",
        "Created-By: Packages",
    )
    known = _run(*asked, folder=folder).splitlines()
    mirrors = [line.split()[0] for line in known if line.split()[1:] == [recipe.SUITE, "main"]]
    if not mirrors:
        raise LabError(f"apt-get knows no mirror with the suite {recipe.SUITE}")
    work = folder / ".apt"
    for each in ("lists/partial", "archives/partial", "tmp"):
        (work / each).mkdir(parents=True)
    (work / "sources").write_text(f"deb [signed-by={KEYRING}] {mirrors[0]} {SUITE} main\n", encoding="utf-8")
    options = {
        "APT::Sandbox::User": "root",
        "Dir::Etc::sourcelist": work / "sources",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State::lists": work / "lists",
        "Dir::Cache::archives": work / "archives",
        "Dir::Cache::pkgcache": "",
        "Dir::Cache::srcpkgcache": "",
    }
    apt = (
        "env",
        f"TMPDIR={work}/tmp",
        "apt-get",
        "-qq",
        *(f"-o{key}={value}" for key, value in options.items()),
    )
    _run(*apt, "update", folder=work)
    _run(*apt, "download", f"pebble/{SUITE}", folder=work)
    for archive in work.glob("pebble_*.deb"):
        _run("dpkg-deb", "-x", str(archive), str(folder), folder=work)
    shutil.rmtree(work)


def _fetch_certbot(folder: Path) -> None:
    pip = (sys.executable, "-m", "pip", "-q", "--disable-pip-version-check", "install")
    there = ("--target", str(folder), "--python-version", PYTHON, "--only-binary", ":all:", "--no-compile")
    _run(*pip, *there, *CERTBOT, folder=folder)


def _run(*words: str, folder: Path) -> str:
    try:
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LabError(f"{words[0]}: {error}") from None
    if done.returncode:
        raise LabError(f"{' '.join(words[:3])}…: {last_line(done.stderr)}")
    return done.stdout
