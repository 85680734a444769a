"""How hosts are reached: what counts of the YAML, of ssh's configuration and of the defaults."""

from __future__ import annotations

import getpass
import subprocess
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.environment.settings import Host, HostSsh, Ssh
from reconciler.fleet.reply import NoAnswer, Refused
from reconciler.fleet.routes import Routes, jump_hosts
from reconciler.fleet.ssh import ConnectionFactory
from tests.support.faults import new_key, public_of
from tests.support.sshd import USER, Sshd, needs_sshd, sshd

NAME, OTHER = "cn-1.example.org", "cn-2.example.org"
HOSTS = (Host(name=NAME), Host(name=OTHER, address="192.0.2.2"))


def routes(folder: Path, text: str, **settings: object) -> Routes:
    (folder / "config").write_text(text, encoding="ascii")
    (folder / "config").chmod(0o600)
    return Routes(Ssh(config=str(folder / "config"), **settings).with_hosts(HOSTS))  # type: ignore[arg-type]


def test_the_yaml_comes_first_then_the_configuration_then_the_defaults(tmp_path: Path) -> None:
    text = f"Host {NAME}\n Port 2201\n User config\n HostName 192.0.2.9\n ProxyJump gate\n IdentityFile /i\n"
    config, file = routes(tmp_path, text), f"{tmp_path}/config"
    route = config.of(HOSTS[0])
    assert (route.user, route.port, route.address, route.identities) == ("config", 2201, "192.0.2.9", ("/i",))
    assert (route.jump, route.agent) == (f"{getpass.getuser()}@gate", True)
    assert route.labels == (f"[{NAME}]:2201", "[192.0.2.9]:2201")
    assert route.origins == {
        "user": f"{file}:3", "port": f"{file}:2", "address": f"{file}:4", "jump": f"{file}:5", "identity": f"{file}:6",
    }  # fmt: skip
    shared = routes(tmp_path, text, user="ops", port=2202, identity="/k", jump="ada@wall:2200")
    route = shared.of(HOSTS[0])
    assert (route.user, route.port, route.identities, route.agent) == ("ops", 2202, ("/k",), False)
    assert (route.jump, route.origins["jump"]) == ("ada@wall:2200", "ssh.jump")
    own = HostSsh(user="me", port=2203, identity="/o", jump="none")
    route = shared.of(replace(HOSTS[0], address="192.0.2.1", ssh=own))
    assert (route.user, route.port, route.address, route.identities) == ("me", 2203, "192.0.2.1", ("/o",))
    assert (route.jump, route.origins["jump"], route.origins["user"]) == (
        None,
        "hosts.ssh.jump",
        "hosts.ssh.user",
    )
    plain = config.of(HOSTS[1])
    assert (plain.user, plain.port, plain.address, plain.jump) == ("root", 22, "192.0.2.2", None)
    assert set(plain.origins.values()) == {"default", "hosts.address"}


def test_a_key_is_named_with_tokens_and_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HERE", "/here")
    monkeypatch.setenv("HOME", "/home/me")
    text = "Port 2201\nIdentityFile ${HERE}/%n-%p%%\nCertificateFile ~/%r-cert.pub\nIdentitiesOnly yes\n"
    route = routes(tmp_path, text).of(HOSTS[0])
    assert (route.identities, route.certificate) == ((f"/here/{NAME}-2201%",), "/home/me/root-cert.pub")
    assert not route.agent


def test_without_the_file_the_yaml_alone_counts(tmp_path: Path) -> None:
    text = "Host *\n Port 2201\n"
    assert routes(tmp_path, text).of(HOSTS[0]).port == 2201
    assert Routes(Ssh(config="none")).of(HOSTS[0]).port == 22
    with pytest.raises(Refused, match=r"gone: is not there; see `ssh.config`"):
        Routes(Ssh(config=str(tmp_path / "gone"))).of(HOSTS[0])


def test_a_proxy_command_is_refused_and_not_run(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    text = f"Host {NAME}\n ProxyCommand touch {ran}\nMatch exec 'touch {ran}'\n Port 2201\n"
    config = routes(tmp_path, text)
    with pytest.raises(Refused) as raised:
        config.of(HOSTS[0])
    assert raised.value.reason.startswith(f"{tmp_path}/config:2: {NAME} is reached by a ProxyCommand")
    assert raised.value.reason.endswith("[ssh-config]")
    # What the YAML says comes first, so nothing is left to refuse.
    assert config.of(replace(HOSTS[0], ssh=HostSsh(jump="none"))).via is None
    assert config.of(HOSTS[1]).port == 22
    assert not ran.exists()
    with pytest.raises(Refused, match="config:2: gate is reached by a ProxyCommand"):
        routes(tmp_path, "Host gate\n ProxyCommand nc x\nHost cn-*\n ProxyJump gate\n").of(HOSTS[0])


def test_what_is_not_followed_is_told_once(tmp_path: Path) -> None:
    config = routes(tmp_path, "Match exec true\n Port 1\nHost *\n UserKnownHostsFile /x\n ForwardAgent yes\n")
    assert config.remarks(HOSTS) == [
        f"{tmp_path}/config:1: `Match exec` is not judged here, so what stands under it does not count",
        f"{tmp_path}/config:4: `userknownhostsfile` of ssh's configuration is not followed here",
    ]


@pytest.mark.parametrize("line", [f"HostName {OTHER}", "HostName 192.0.2.2", f"HostKeyAlias {OTHER.upper()}"])
def test_a_host_is_never_taken_for_another_one(tmp_path: Path, line: str) -> None:
    with pytest.raises(Refused, match=f"config:2: {NAME} would be taken for another host"):
        routes(tmp_path, f"Host {NAME}\n {line}\n").of(HOSTS[0])


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("Port no", "config:1: `Port no` is no port"),
        ("Host cn-1 'x", "config:1: a quote is not closed"),
        ("ProxyJump a b:c", "config:1: ProxyJump: a b:c` is not"),
        ("HostName %q.example.org", "config:1: `%q` is not understood here"),
        ("Include config", "included more than 16 files deep"),
        ("Host *\nProxyJump", "config:2: `proxyjump` lacks its value"),
        ("Host *\nProxyJump gate", "config:2: the jump host gate would be reached through itself"),
    ],
)
def test_what_cannot_be_read_says_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, fault: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").symlink_to(tmp_path)
    with pytest.raises(Refused) as raised:
        routes(tmp_path, text).of(HOSTS[0])
    assert fault in raised.value.reason


def test_a_file_that_others_can_write_is_refused(tmp_path: Path) -> None:
    config = routes(tmp_path, "Port 2201\n")
    (tmp_path / "config").chmod(0o620)
    with pytest.raises(Refused, match="others can write it"):
        config.of(HOSTS[0])


@pytest.mark.parametrize(
    ("text", "hops"),
    [
        ("gate", [(None, "gate", None)]),
        ("you@gate.example.org:2222", [("you", "gate.example.org", 2222)]),
        ("you@example.org@gate", [("you@example.org", "gate", None)]),
        ("you@[2001:db8::1]:2222", [("you", "2001:db8::1", 2222)]),
        ("[2001:db8::1],b:1", [(None, "2001:db8::1", None), (None, "b", 1)]),
        ("none", []),
    ],
)
def test_jump_hosts_are_user_host_and_port(text: str, hops: list[tuple[str | None, str, int | None]]) -> None:
    assert [(hop.user, hop.host, hop.port) for hop in jump_hosts(text)] == hops


@pytest.mark.parametrize(
    "text", ["gate:", "gate:ssh", "you@", "2001:db8::1", "[gate", "gate:22:22", "a,,b", "@a"]
)
def test_what_is_no_jump_host_says_what_one_is(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not \[USER@\]HOST\[:PORT\]"):
        jump_hosts(text)


# -- over real daemons -----------------------------------------------------------------------


class Chain:
    """Two jump hosts and the host behind them, all on loopback, and a configuration that says so."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self.identity = folder, new_key(folder / "key")
        self.first, self.second, self.last = (stack.enter_context(sshd(self.identity)) for _ in range(3))
        self.pins = {"first": self.first, "second": self.second, NAME: self.last}
        self.further = ""
        self.text = "".join(
            f"Host {name}\n HostName 127.0.0.1\n Port {each.port}\n User {USER}\n IdentityFile {self.identity}\n"
            for name, each in self.pins.items()
        )

    def connect(self, more: str, text: str | None = None, **settings: object) -> None:
        """Raises `HostError`."""
        (self.folder / "config").write_text((self.text if text is None else text) + more, encoding="ascii")
        known = self.folder / "known_hosts"
        pins = "".join(each.pin(name) for name, each in self.pins.items())
        known.write_text(pins + self.further, encoding="ascii")
        ssh = Ssh(config=str(self.folder / "config"), known_hosts=str(known), timeout=10, **settings)  # type: ignore[arg-type]
        with closing(ConnectionFactory(ssh)) as factory:
            factory.connect(HOSTS[0]).close()

    def served(self, daemon: Sshd) -> int:
        """How often somebody has logged in there."""
        return daemon.log.read_text().count("Accepted publickey")


@pytest.fixture
def chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with ExitStack() as stack:
        yield Chain(tmp_path, stack)


@needs_sshd
@pytest.mark.parametrize(
    "more",
    [
        f"Host {NAME}\n ProxyJump first,second\n",
        f"Host {NAME}\n ProxyJump second\nHost second\n ProxyJump first\n",
    ],
)
def test_two_jump_hosts_each_with_its_own_key(chain: Chain, more: str) -> None:
    chain.connect(more)
    assert [chain.served(each) for each in (chain.first, chain.second, chain.last)] == [1, 1, 1]


@needs_sshd
def test_the_jump_hosts_of_the_yaml_come_first(chain: Chain) -> None:
    chain.connect(f"Host {NAME}\n ProxyJump nowhere\n", jump="first,second", user=USER)
    assert [chain.served(each) for each in (chain.first, chain.second, chain.last)] == [1, 1, 1]


@needs_sshd
@pytest.mark.parametrize("name", ["first", "second"])
def test_the_jump_host_at_fault_is_named(chain: Chain, name: str, tmp_path: Path) -> None:
    right, jump = chain.pins[name], f"Host {NAME}\n ProxyJump first,second\n"
    chain.pins[name] = replace(right, key=public_of(new_key(tmp_path / "other")))
    with pytest.raises(Refused) as raised:
        chain.connect(jump)
    assert raised.value.reason.startswith(f"the jump host {name}: its host key has changed")
    chain.pins[name] = replace(right, port=1)
    with pytest.raises(Refused) as raised:
        chain.connect(jump)
    assert raised.value.reason.startswith(f"the jump host {name}: its host key is not pinned")
    del chain.pins[name]
    chain.pins[name] = right
    other = new_key(tmp_path / "stranger")
    lines = chain.text.replace(f"Port {right.port}\n User {USER}\n IdentityFile {chain.identity}",
                               f"Port {right.port}\n User {USER}\n IdentityFile {other}")  # fmt: skip
    with pytest.raises(Refused) as raised:
        chain.connect(jump, lines)
    assert raised.value.reason.startswith(f"the jump host {name}: authentication refused for {USER}")


@needs_sshd
def test_what_a_jump_host_cannot_reach_is_named(chain: Chain) -> None:
    nowhere = chain.text.replace(f"Port {chain.second.port}", "Port 1")
    with pytest.raises(Refused) as raised:
        chain.connect(f"Host {NAME}\n ProxyJump first,second\n", nowhere)
    assert "the jump host first cannot reach 127.0.0.1:1" in raised.value.reason
    nowhere = chain.text.replace(f"Port {chain.last.port}", "Port 1")
    with pytest.raises(NoAnswer) as answer:
        chain.connect(f"Host {NAME}\n ProxyJump first,second\n", nowhere)
    assert answer.value.reason.startswith("the jump host second cannot reach 127.0.0.1:1")


@needs_sshd
def test_a_pin_of_its_own_name_counts_before_one_of_its_alias(chain: Chain, tmp_path: Path) -> None:
    wrong = public_of(new_key(tmp_path / "other"))
    chain.pins["alias"] = chain.last
    del chain.pins[NAME]
    known = f"Host {NAME}\n HostKeyAlias alias\n"
    with pytest.raises(Refused, match="its host key is not pinned"):
        chain.connect(known)  # an alias has no port: ssh_config(5), HostKeyAlias
    chain.further = f"alias {chain.last.key}\n"
    chain.connect(known)
    chain.pins[NAME] = replace(chain.last, key=wrong)
    with pytest.raises(Refused, match="its host key has changed"):
        chain.connect(known)


@needs_sshd
def test_a_certificate_of_the_user_opens_a_host(chain: Chain, tmp_path: Path) -> None:
    authority, user = new_key(tmp_path / "ca"), new_key(tmp_path / "user")
    sign = ["ssh-keygen", "-q", "-s", str(authority), "-I", "me", "-n", USER, f"{user}.pub"]
    subprocess.run(sign, check=True, timeout=20)
    (tmp_path / "user-cert.pub").rename(tmp_path / "elsewhere.pub")
    with sshd(authority, marker="cert-authority ") as daemon:
        chain.pins = {NAME: daemon}
        text = f"Host {NAME}\n HostName 127.0.0.1\n Port {daemon.port}\n User {USER}\n IdentityFile {user}\n"
        with pytest.raises(Refused, match="authentication refused"):
            chain.connect("", text)
        chain.connect(f" CertificateFile {tmp_path}/elsewhere.pub\n", text)
