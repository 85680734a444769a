"""Our reading of ssh's configuration, judged by `ssh -G`."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given, reject, settings
from hypothesis import strategies as st

from reconciler.environment.settings import Host, HostSsh, Ssh
from reconciler.fleet.routes import Routes, jump_hosts
from reconciler.fleet.ssh_config import SshConfig

NAMES = ("cn-1.example.org", "cn-2.example.org", "CN-1.example.org", "gate")
PATTERN = st.sampled_from(
    [
        "*",
        "cn-1.example.org",
        "cn-?.example.org",
        "!cn-2*",
        "!gate",
        "*.ORG",
        "g*e",
        "cn-[12]*",
        '"cn-1.example.org"',
    ]
)
VALUES = st.sampled_from(
    [
        "HostName %h", "HostName=10.0.0.1", "hostname  %h.internal", 'HostName "x%%y"', "Port 2201", "Port=2202",
        "PORT \t 2203", "User ops", 'User "ada" # why', "User 'it'", "User a\\ b", "HostKeyAlias one",
        "hostkeyalias = two", "IdentityFile /a", 'IdentityFile "/b c"', "IdentityFile /a", "IdentitiesOnly yes",
        "IdentitiesOnly no", "CertificateFile /c-cert.pub", "CertificateFile /d-cert.pub", "ProxyJump none",
        "ProxyJump ada@first:2200,second", "proxyjump [2001:db8::1]:22", "ProxyJump=gate", "ProxyCommand none",
        "ProxyCommand nc %h %p", "# a comment", "", "   ", "ServerAliveInterval 5",
    ]
)  # fmt: skip
SECTION = st.one_of(
    st.lists(PATTERN, min_size=1, max_size=3).map(lambda each: f"Host {' '.join(each)}"),
    st.sampled_from(
        [
            "Match all", "Match host cn-1*", "Match !host cn-1*", "match originalhost cn-1.*,gate", "Match user ops",
            "Match host 10.0.0.1 user ops", "Match host *.internal", "Match originalhost *,!gate", "Include inner",
            "Include ~/nothing", "Include inner other",
        ]
    ),
)  # fmt: skip
LINES = st.lists(st.one_of(VALUES, VALUES, SECTION), max_size=9)


def by_ssh(folder: Path, name: str, *options: str) -> dict[str, list[str]]:
    """What ssh itself makes of the configuration."""
    words = ["ssh", "-G", "-F", f"{folder}/config", *options, name]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=20)
    if "jumphost loop" in done.stderr:
        reject()  # a host that is its own way: ssh does not say what else it found
    assert done.returncode == 0, done.stderr
    found: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        keyword, _, value = line.partition(" ")
        found.setdefault(keyword, []).append(value)
    return found


def _example(name: str, main: str, inner: str = "") -> example:
    return example(main=main.split(";"), inner=inner.split(";"), name=name, port=None)


@_example("gate", "Host cn-*;Include inner;Host *;Port 2201", "Port 2202;Host *;HostName 10.0.0.1")
@_example("gate", "Host *;Include inner;Port 2201", "User ops;Host cn-*")
@_example("gate", "Host g*;ProxyCommand nc %h %p;Host *;ProxyJump ada@first:2200,second")
@_example("gate", "Host g*;ProxyJump ada@first:2200,second;Host *;ProxyCommand nc %h %p")
@_example("gate", "Host g*;ProxyJump none;Host *;ProxyCommand nc %h %p")
@_example("gate", "HostName %h.internal;Match host *.internal;Port 2201")
@given(main=LINES, inner=LINES, name=st.sampled_from(NAMES), port=st.sampled_from([None, 2222]))
@settings(max_examples=150)
def test_a_configuration_says_what_it_says_to_ssh(
    tmp_path_factory: pytest.TempPathFactory, main: list[str], inner: list[str], name: str, port: int | None
) -> None:
    folder = tmp_path_factory.mktemp("config")
    inner = [line for line in inner if not line.startswith("Include")]
    main = [line.replace("Include inner", f"Include {folder}/inn*") for line in main]
    for file, lines in (("config", main), ("inner", inner)):
        (folder / file).write_text("\n".join(lines) + "\n", encoding="utf-8")
        (folder / file).chmod(0o600)
    right = by_ssh(folder, name, "-l", "default", *(["-p", str(port)] if port else []))
    given_ = {"user": "default"} | ({"port": str(port)} if port else {})
    found = SshConfig(str(folder / "config")).lookup(name, given_, "root")
    text = f"{main}\n{inner}"

    def first(keyword: str, default: str) -> str:
        value = found.first(keyword)
        return value.value if value else default

    assert first("port", str(port or 22)) == right["port"][0], text
    assert [first("hostkeyalias", "")] == right.get("hostkeyalias", [""]), text
    assert first("identitiesonly", "no") == right["identitiesonly"][0], text
    for keyword in ("identityfile", "certificatefile"):
        values = [each.value for each in found.found.get(keyword, ())]
        usual = [each for each in right.get(keyword, ()) if not each.startswith("~/.ssh/id_")]
        assert values == usual, text
    jump = jump_hosts(first("proxyjump", "none"))
    assert jump == jump_hosts(right.get("proxyjump", ["none"])[0]), text
    command, theirs = first("proxycommand", "none"), right.get("proxycommand", ["none"])[0]
    # Security updates of OpenSSH let a ProxyCommand count that comes after `ProxyJump none`; before, it did not.
    assert command == theirs or first("proxyjump", "") == "none", text
    if command == "none":
        own = HostSsh(user="default", port=port, jump="none")
        route = Routes(Ssh(config=str(folder / "config"))).of(Host(name=name, ssh=own))
        assert route.address.lower() == right["hostname"][0].lower(), text


@given(main=LINES, name=st.sampled_from(NAMES))
@settings(max_examples=60)
def test_the_user_is_the_one_that_ssh_finds(
    tmp_path_factory: pytest.TempPathFactory, main: list[str], name: str
) -> None:
    folder = tmp_path_factory.mktemp("config")
    main = [line for line in main if not line.startswith("Include") and "user ops" not in line]
    (folder / "config").write_text("\n".join(main) + "\n", encoding="utf-8")
    (folder / "config").chmod(0o600)
    right = by_ssh(folder, name)["user"][0]
    value = SshConfig(str(folder / "config")).lookup(name, {}, "root").first("user")
    assert value is None or value.value == right, main
    (folder / "config").write_text("\n".join([*main, "Match all", "User last"]) + "\n", encoding="utf-8")
    value = SshConfig(str(folder / "config")).lookup(name, {}, "root").first("user")
    assert value is not None
    assert value.value == by_ssh(folder, name)["user"][0]
