"""The base image: built once, then only read, as the lowest layer of every host's disk."""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from lab import recipe
from lab.commands import LabError, last_line, say
from lab.store import locked

# A build that dies with this process, whatever kills it, and takes its mounts along:
# --pid and --kill-child end every process of it, --mount drops what it mounted.
CAGE: Final = shlex.split(
    "setpriv --pdeathsig KILL -- unshare --mount --propagation private --pid --fork "
    "--kill-child=KILL --mount-proc"
)

BEAT: Final = 5.0  # seconds between two lines of progress
LIMIT: Final = 1800.0  # seconds after which a build is given up


def digest() -> str:
    """The name of the image that the recipe makes: 12 hex digits."""
    shape = (_bootstrap(Path("tree")), sorted(recipe.FILES.items()), recipe.SETTLE)
    return hashlib.sha256(repr(shape).encode()).hexdigest()[:12]


def image(root: Path) -> Path:
    """The folder of the base image in a store, built first when it is not there yet."""
    folder = root / "images" / digest()
    if folder.is_dir():
        return folder
    with locked(root, "image"):
        if not folder.is_dir():  # another process may have built it while this one waited
            _build(folder)
    return folder


def purge(root: Path) -> None:
    """Remove every base image of a store."""
    with locked(root, "image"):
        shutil.rmtree(root / "images", ignore_errors=True)


def _build(folder: Path) -> None:
    """Build under a temporary name and rename, so that a killed build is never taken for one."""
    unfinished = folder.with_name(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o755, parents=True)
    started = time.monotonic()
    say("building the base image: once per recipe, a minute or two")
    log = folder.with_name("build.log")
    log.unlink(missing_ok=True)
    tree = unfinished / "tree"
    _caged(_bootstrap(tree), log, "installing Debian and its services", started)
    for name, (mode, text) in recipe.FILES.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)
    inside = 'mount -t proc proc "$0/proc"; exec chroot "$0" sh -c "$1"'
    settle = ["sh", "-c", inside, str(tree), recipe.SETTLE]
    _caged(settle, log, f"fetching the archives of {', '.join(recipe.OFFERED)}", started)
    # mkdir's mode went through the umask, and this folder is the / of every host.
    tree.chmod(0o755)
    os.rename(tree, folder)
    shutil.rmtree(unfinished)
    log.unlink(missing_ok=True)
    say(f"base image ready after {time.monotonic() - started:.0f} s")


def _bootstrap(tree: Path) -> list[str]:
    left_out = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "man", "locale")]
    return [
        "mmdebstrap",
        "--mode=root",
        "--variant=minbase",
        f"--include={recipe.PACKAGES.replace(' ', ',')}",
        "--skip=cleanup/apt",
        # A mirror may be a snapshot of the past, whose lists have expired.
        '--aptopt=Acquire::Check-Valid-Until "false"',
        "--dpkgopt=force-unsafe-io",
        *left_out,
        recipe.SUITE,
        str(tree),
    ]


def _caged(arguments: list[str], log: Path, what: str, started: float) -> None:
    """Run one stage of a build with its output in a log, saying now and then how far it is."""
    # C.UTF-8 makes PostgreSQL's first cluster use UTF-8.
    environment = {**os.environ, "LANG": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
    with log.open("ab") as output:
        stage = subprocess.Popen(
            [*CAGE, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
        )
        try:
            _watch(stage, log, what, started)
        except BaseException:
            stage.kill()
            stage.wait()
            raise
    if stage.returncode != 0:
        reason = last_line(log.read_text(encoding="utf-8", errors="replace"))
        raise LabError(f"base image: {what}: {reason} (all of it: {log})")


def _watch(stage: subprocess.Popen[bytes], log: Path, what: str, started: float) -> None:
    say(f"base image: {what}")
    while True:
        try:
            stage.wait(BEAT)
            return
        except subprocess.TimeoutExpired:
            pass
        seconds = time.monotonic() - started
        if seconds > LIMIT:
            raise LabError(f"base image: not finished after {LIMIT:.0f} s (see {log})")
        tail = log.read_text(encoding="utf-8", errors="replace").replace("\r", "\n")
        say(f"base image: {seconds:3.0f} s: {last_line(tail)[:90]}")
        sys.stderr.flush()
