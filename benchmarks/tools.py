"""The same settled files as each tool would have them, and the command that looks at them."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmarks.endpoints import Endpoints
from benchmarks.measure import BenchError, Command, last_line, say

HERE = Path(__file__).resolve().parent
RECONCILE = [sys.executable, "-m", "reconciler"]
PARALLEL = 32
"""Hosts at a time, for every tool: what `reconcile plan` does by itself."""
COUNT = 50
MODE = "0640"


def settled(folder: Path) -> dict[str, str]:
    """Writes the files that every tool will find in order: content by path."""
    folder.mkdir()
    files = {
        str(folder / f"{number:02}.conf"): "".join(
            f"option_{number}_{line} = some value that a program would read\n" for line in range(20)
        )
        for number in range(COUNT)
    }
    for path, content in files.items():
        Path(path).write_text(content, encoding="ascii")
        Path(path).chmod(int(MODE, 8))
    return files


def plan(folder: Path, at: Endpoints, files: Mapping[str, str], name: str = "plan") -> Command:
    """`reconcile plan`, the whole process."""
    path = folder / f"{name}-{len(at.addresses)}.yaml"
    document = {
        "environment": "bench",
        "router": "bench.test",
        "blueprint": False,
        "hosts": [
            {"name": f"host-{number}.test", "address": address, "primary": number == 0}
            for number, address in enumerate(at.addresses)
        ],
        "ssh": {
            "user": "root",
            "port": at.port,
            "identity": str(at.identity),
            "known_hosts": str(at.known_hosts),
        },
        "resources": [
            {"file": path, "content": content, "mode": MODE, "owner": "root", "group": "root"}
            for path, content in files.items()
        ],
    }
    path.write_text(json.dumps(document, indent=1), encoding="utf-8")
    return replace(reconcile(folder, "plan", path, "Nothing to do"), name=name)


def reconcile(folder: Path, command: str, environment: Path, words: str, *flags: str) -> Command:
    """A command of ours on an environment file, the whole process; it has to say `words`."""
    argv = [*RECONCILE, command, str(environment), *flags]
    return Command(command, argv, _bare(folder), partial(_lacks, words))


def ssh(folder: Path, at: Endpoints) -> Command:
    """`ssh HOST true` over the same addresses: a floor for all that use ssh."""
    return each_by_ssh(folder, at.addresses, "root", at.identity, at.known_hosts, "true", at.port)


def each_by_ssh(
    folder: Path,
    addresses: Sequence[str],
    user: str,
    identity: Path,
    known_hosts: Path,
    command: str,
    port: int = 22,
) -> Command:
    """A command on each host by OpenSSH's client, PARALLEL at a time."""
    options = ["-F", "none", "-p", str(port), "-i", str(identity)]
    for each in (f"UserKnownHostsFile={known_hosts}", "IdentitiesOnly=yes", "BatchMode=yes"):
        options += ["-o", each]
    hosts = folder / f"addresses-{len(addresses)}"
    hosts.write_text("".join(f"{each}\n" for each in addresses), encoding="ascii")
    argv = ["xargs", f"-P{PARALLEL}", "-I{}", "-a", str(hosts), "ssh", *options, f"{user}@{{}}", command]
    return Command("ssh", argv, _bare(folder))


def bare(folder: Path, at: Endpoints) -> Command:
    """An exchange with each host by paramiko alone: a floor for what the controlling side spends."""
    argv = [sys.executable, "-m", "benchmarks.bare", str(at.port), str(at.identity), str(at.known_hosts)]
    said = partial(_lacks, f"{len(at.addresses)} exchanges")
    hosts = "\n".join(at.addresses).encode()
    return Command("bare", [*argv, str(PARALLEL)], _bare(folder), said, stdin=hosts)


def pyinfra(folder: Path, venv: Path, at: Endpoints, files: Mapping[str, str]) -> Command:
    """`pyinfra --dry`: `files.put` for each file."""
    data = {
        "ssh_port": at.port,
        "ssh_user": "root",
        "ssh_key": str(at.identity),
        "ssh_known_hosts_file": str(at.known_hosts),
        "ssh_strict_host_key_checking": "yes",
        "ssh_config_file": "/dev/null",
        "ssh_allow_agent": False,
        "ssh_look_for_keys": False,
    }
    inventory, deploy = folder / "inventory.py", folder / "deploy.py"
    inventory.write_text(f"hosts = ([(h, {{}}) for h in {list(at.addresses)!r}], {data!r})\n", "utf-8")
    deploy.write_text(
        "from io import StringIO\n"
        "from pyinfra.operations import files\n"
        f"for path, content in {dict(files)!r}.items():\n"
        f"    files.put(name=path, src=StringIO(content), dest=path, mode={MODE!r},"
        " user='root', group='root')\n",
        "utf-8",
    )
    argv = [str(venv / "bin/pyinfra"), "--dry", str(inventory), str(deploy)]
    return Command("pyinfra", argv, _bare(folder), partial(_pyinfra_wrong, len(at.addresses)))


def ansible(folder: Path, venv: Path, at: Endpoints, files: Mapping[str, str]) -> Command:
    """`ansible-playbook --check`: `copy` for each file, with pipelining and without facts."""
    inventory, playbook, config = folder / "inventory.json", folder / "playbook.json", folder / "ansible.cfg"
    arguments = f"-F none -o UserKnownHostsFile={at.known_hosts} -o IdentitiesOnly=yes"
    variables = {
        "ansible_port": at.port,
        "ansible_user": "root",
        "ansible_ssh_private_key_file": str(at.identity),
        "ansible_python_interpreter": "/usr/bin/python3",
        "ansible_ssh_common_args": arguments,
    }
    hosts: dict[str, object] = {each: {} for each in at.addresses}
    inventory.write_text(json.dumps({"all": {"hosts": hosts, "vars": variables}}), "utf-8")
    tasks = [
        {
            "ansible.builtin.copy": {
                "dest": path,
                "content": content,
                "mode": MODE,
                "owner": "root",
                "group": "root",
            }
        }
        for path, content in files.items()
    ]
    playbook.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]), "utf-8")
    sockets = folder / "s"
    config.write_text(
        f"[defaults]\nforks={PARALLEL}\nhost_key_checking=True\nretry_files_enabled=False\n"
        f"[ssh_connection]\npipelining=True\ncontrol_path_dir={sockets}\n",
        "utf-8",
    )
    argv = [str(venv / "bin/ansible-playbook"), "--check", "-i", str(inventory), str(playbook)]
    env = _bare(folder) | {
        "ANSIBLE_CONFIG": str(config),
        "ANSIBLE_NOCOLOR": "1",
        "LC_ALL": "C.UTF-8",
        "PATH": f"{venv / 'bin'}:{os.environ['PATH']}",
    }
    # Its connections stay open for a minute; the next run must not find them.
    tidy = partial(_close, sockets, at)
    return Command("ansible", argv, env, partial(_ansible_wrong, len(at.addresses)), tidy)


def version() -> Command:
    """`reconcile --version`, as it is installed."""
    argv = [str(Path(sys.executable).parent / "reconcile"), "--version"]
    return Command("version", argv, dict(os.environ), partial(_lacks, "reconcile "))


def validate() -> Command:
    """`reconcile validate` of an environment of the repository; no host is contacted."""
    argv = [str(Path(sys.executable).parent / "reconcile"), "validate"]
    argv.append(str(HERE.parent / "environments" / "stage.yaml"))
    return Command("validate", argv, dict(os.environ), partial(_lacks, "valid: "))


def usage() -> Command:
    """`reconcile --help`."""
    argv = [str(Path(sys.executable).parent / "reconcile"), "--help"]
    return Command("help", argv, dict(os.environ), partial(_lacks, "Usage: "))


def tab(folder: Path) -> Command:
    """What bash runs at a TAB behind `reconcile plan ENV --only fil`: the YAML is read, and the journal."""
    words = ["reconcile", "plan", str(HERE.parent / "environments" / "stage.yaml"), "--only", "fil"]
    asked = {
        "COMP_WORDS": "\n".join(words),
        "COMP_CWORD": "4",
        "_RECONCILE_COMPLETE": "complete_bash",
        "RECONCILE_STATE": str(folder),
    }
    argv = [str(Path(sys.executable).parent / "reconcile")]
    return Command("tab", argv, {**os.environ, **asked}, partial(_lacks, "file"))


def python() -> Command:
    """`python -c pass`: what no Python program can be faster than."""
    return Command("python", [sys.executable, "-c", "pass"], dict(os.environ))


def tools_venv(cache: Path = HERE.parent / ".venv/bench") -> Path:
    """The virtual environment of the others and of the simulated hosts, made at the first run and whenever
    its lock changes. Raises `BenchError`."""
    lock = HERE / "requirements.lock"
    mark = cache / "digest"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    if mark.exists() and mark.read_text(encoding="ascii") == digest:
        return cache
    say("installing pyinfra, Ansible and asyncssh into a virtual environment of their own")
    for argv in (
        [sys.executable, "-m", "venv", "--clear", str(cache)],
        [str(cache / "bin/python"), "-m", "pip", "-qq", "--disable-pip-version-check"]
        + ["install", "--no-deps", "--require-hashes", "-r", str(lock)],
        [str(cache / "bin/python"), "-m", "pip", "-q", "check"],
    ):
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BenchError(f"{shlex.join(argv)}: {last_line(done.stderr)}")
    mark.write_text(digest, encoding="ascii")
    return cache


def _bare(folder: Path) -> dict[str, str]:
    """No agent, and a HOME of its own: nothing of the user's is measured, nor changed."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("SSH_", "ANSIBLE_"))}
    return kept | {"HOME": str(home)}


def _lacks(words: str, output: str) -> str | None:
    return None if words in output else f"did not say {words!r}: {last_line(output)}"


def _pyinfra_wrong(hosts: int, output: str) -> str | None:
    unchanged = [line for line in output.splitlines() if line.split()[1:] == ["-", "-"]]
    if output.count("Connected") == hosts and len(unchanged) == COUNT:
        return None
    return f"did not find {COUNT} settled files on {hosts} hosts: {last_line(output)}"


def _ansible_wrong(hosts: int, output: str) -> str | None:
    good = [line for line in output.splitlines() if f"ok={COUNT} " in line and "changed=0 " in line]
    return (
        None
        if len(good) == hosts
        else f"did not find {COUNT} settled files on {hosts} hosts: {last_line(output)}"
    )


def _close(sockets: Path, at: Endpoints) -> None:
    paths: Sequence[Path] = [each for each in sockets.iterdir() if each.is_socket()]
    for path in paths:
        argv = ["ssh", "-F", "none", "-o", f"ControlPath={path}", "-O", "exit", "-p", str(at.port), "root@x"]
        subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False)
