"""The mesh: what a key of another host may do here, and that root keeps nothing where the account writes.

The script that sshd runs for a key is run as sshd would."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.blueprint import resources, templates
from reconciler.blueprint.node import PROBE
from reconciler.environment.certificate import Certificate
from reconciler.environment.services import Services
from reconciler.environment.settings import Environment, Host, HostSsh, Ssh, Sync
from reconciler.kinds.certificate.former import Former
from reconciler.kinds.certificate.lineage import Lineage
from reconciler.kinds.certificate.release import Delivery
from reconciler.kinds.effective.login import AccountAccess
from reconciler.kinds.file import File
from reconciler.kinds.ssh_access import SshAccess
from reconciler.kinds.tagged_lines import AuthorizedKeys, KnownHosts

HOSTS = (
    Host(name="a", primary=True, address="192.0.2.1"),
    Host(name="b", address="2001:db8::2"),
    Host(name="c", address="c.internal"),
    Host(name="d", address="192.0.2.4", sources=("10.0.0.0/8", "2001:db8::4")),
)


class Wrapper:
    """The script with a home and a challenge directory of its own."""

    def __init__(self, folder: Path) -> None:
        self.home, self.challenge = folder / "home", folder / "challenge"
        self.home.mkdir()
        self.challenge.mkdir()
        self.log = self.home / "actions.log"
        self.path = folder / "wrapper"
        self.store = folder / "certificate"
        settings = {
            "challenge": str(self.challenge),
            "home": str(self.home),
            "store": str(self.store),
            "primary": "cn-1",
        }
        self.path.write_text(templates.script("rsync-wrapper.sh", "e", settings), encoding="utf-8")

    def ask(self, role: str, request: str, stdin: str = "x") -> tuple[int, str]:
        """The status and all output of a request by a key with this role."""
        done = subprocess.run(
            ["sh", self.path, *role.split()],
            input=stdin,
            env={**os.environ, "SSH_ORIGINAL_COMMAND": request, "SSH_CLIENT": "192.0.2.9 1 22"},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, (done.stdout + done.stderr).strip()


@pytest.fixture
def wrapper(tmp_path: Path) -> Wrapper:
    return Wrapper(tmp_path)


@pytest.mark.parametrize("role", ["ping", "", "Deliver", "ping deliver"])
def test_a_key_that_may_only_ping_does_nothing_else(wrapper: Wrapper, role: str) -> None:
    assert wrapper.ask(role, "ping") == (0, "pong")
    for request in ("challenge put a", "challenge remove a", "rsync --server -tce.LsfxCIvu --timeout=60 . x"):
        assert wrapper.ask(role, request) == (64, "refused: this key may only ping")
    assert list(wrapper.challenge.iterdir()) == []
    assert [path.name for path in wrapper.home.iterdir()] == ["actions.log"]


def test_the_primarys_key_puts_and_removes_challenges(wrapper: Wrapper) -> None:
    assert wrapper.ask("deliver", "ping") == (0, "pong")
    assert wrapper.ask("deliver", "challenge put a-B_9", "y" * 5000) == (0, "")
    assert (wrapper.challenge / "a-B_9").read_text() == "y" * 1024
    assert wrapper.ask("deliver", "challenge remove a-B_9") == (0, "")
    assert list(wrapper.challenge.iterdir()) == []


def test_the_primarys_key_collects_what_was_sealed_for_it_and_nothing_else(wrapper: Wrapper) -> None:
    for folder, name in ((wrapper.store, "delivery"), (Path(f"{wrapper.store}s/web"), "delivery-web")):
        for host in ("cn-1", "cn-2"):
            file = folder / "outgoing" / host / f"{name}.cms"
            file.parent.mkdir(parents=True)
            file.write_text(f"{name} for {host}")
    assert wrapper.ask("deliver", "collect") == (0, "delivery for cn-1")
    assert wrapper.ask("deliver", "collect web") == (0, "delivery-web for cn-1")
    assert wrapper.ask("ping", "collect")[0] == 64
    for name in ("../web", "/etc", "web/../../certificate", "a b", "web;id", "$(id)"):
        assert wrapper.ask("deliver", f"collect {name}")[0] == 64
    assert wrapper.ask("deliver", "collect other")[0] == 1


def test_what_is_asked_for_cannot_name_the_role(wrapper: Wrapper) -> None:
    for request in ("deliver challenge put a", "challenge put a deliver", "deliver"):
        assert wrapper.ask("ping", request)[0] == 64


def test_there_are_only_so_many_challenges(wrapper: Wrapper) -> None:
    for number in range(256):
        (wrapper.challenge / f"left-{number}").touch()
    status, said = wrapper.ask("deliver", "challenge put one-more")
    assert (status, said.startswith("refused: there are 256 challenges in ")) == (64, True)
    assert not (wrapper.challenge / "one-more").exists()
    assert wrapper.ask("deliver", "challenge remove left-1") == (0, "")
    assert wrapper.ask("deliver", "challenge put one-more") == (0, "")


def test_the_log_is_bounded(wrapper: Wrapper) -> None:
    wrapper.log.write_text("x" * (1 << 20))
    wrapper.ask("ping", "challenge put a")
    assert wrapper.log.read_text().endswith("192.0.2.9 refused: this key may only ping\n")
    assert [path.name for path in sorted(wrapper.home.iterdir())] == ["actions.log", "actions.log.1"]


def test_each_hosts_key_has_its_role_and_its_addresses() -> None:
    made = resources(Environment(name="e", router="r", hosts=HOSTS))
    there = {each.host: dict(each.options_of) for each in made if isinstance(each, AuthorizedKeys)}
    assert set(there["a"]) == {"b", "c", "d"}
    assert there["b"]["a"].startswith('from="192.0.2.1",restrict,command="')
    assert there["b"]["a"].endswith(' deliver"')
    assert there["c"]["b"].startswith('from="2001:db8::2",restrict,command="')
    assert there["b"]["c"].startswith('restrict,command="'), "sshd compares addresses, not names"
    assert there["b"]["d"].startswith('from="10.0.0.0/8,2001:db8::4",restrict,')
    others = [text for at in there.values() for name, text in at.items() if name != "a"]
    assert all(text.endswith(' ping"') for text in others)


def test_of_many_hosts_the_primarys_ways_are_proven_and_each_key_and_each_sshd_once_more() -> None:
    hosts = (*HOSTS, Host(name="e"))
    for all_pairs, proven in (
        (5, {f"{one.name}{other.name}" for one in hosts for other in hosts if one != other}),
        (4, {"ab", "ac", "ad", "ae", "bc", "cd", "de", "ea"}),
    ):
        found = resources(
            Environment(
                name="e", router="r", hosts=hosts, sync=Sync(all_pairs=all_pairs), services=Services()
            )
        )
        access = [each for each in found if isinstance(each, SshAccess)]
        assert {f"{each.host}{each.destination[-1]}" for each in access} == proven
        refs = {each.ref for each in found}
        assert all(other in refs for each in found if isinstance(each, Former) for other in each.needs)
        assert all(other in refs for each in found if isinstance(each, Lineage) for other in each.for_order)
        keys = [each for each in found if type(each) in (AuthorizedKeys, KnownHosts)]
        assert [len(each.keys_of) for each in keys] == [4] * 10
        logins = {each.host: each.peers for each in found if isinstance(each, AccountAccess)}
        assert {f"{peer}{host}" for host, peers in logins.items() for peer in peers} == proven


def test_nothing_that_root_keeps_lies_in_a_folder_of_the_account() -> None:
    env = Environment(
        name="e", router="r", hosts=HOSTS, certificate=Certificate(trusted=b""), services=Services(tomcat="9")
    )
    made = resources(env)
    kept = {
        token.removeprefix("path:") for each in made for token in each.provides() if token[:6] == "path:/"
    }
    assert env.sync.identity in kept
    # What shows that challenges are answered from their folder lies there; root writes it as the account.
    kept.remove(f"{env.paths.challenge}/{PROBE}")
    for path in kept:
        assert not path.startswith((f"{env.sync.folder}/", f"{env.paths.challenge}/")), path


def test_what_earlier_versions_kept_goes_once_all_else_is_proven() -> None:
    env = Environment(name="e", router="r", hosts=HOSTS[:2], certificate=Certificate(manage=False))
    found = {each.host: each for each in resources(env) if isinstance(each, Former)}
    needs = {(ref.host, ref.kind, ref.name) for ref in found["a"].needs}
    assert needs >= {
        ("a", "ssh_access", "rsync_user@b"),
        ("b", "ssh_access", "rsync_user@a"),
        ("a", "login", "rsync_user"),
        ("a", "service", "ssh"),
        ("a", "file", "/etc/letsencrypt/renewal/manual-auth-hook.sh"),
    }


def test_a_retired_host_keeps_none_of_it_and_waits_for_nobody() -> None:
    gone = Host(name="gone")
    env = Environment(name="e", router="r", hosts=HOSTS[:1], retired=(gone,))
    (former,) = (each for each in resources(env) if isinstance(each, Former) and each.host == "gone")
    assert former.needs == ()


def test_peers_reach_a_host_at_its_own_port_and_the_yamls_word_alone_counts() -> None:
    hosts = (HOSTS[0], replace(HOSTS[1], ssh=HostSsh(port=2222)), HOSTS[2])
    for shared, usual in ((None, 22), (2200, 2200)):
        environment = Environment(name="e", router="r", hosts=hosts, ssh=Ssh(port=shared, config="/nowhere"))
        every = list(resources(environment))
        ports = {
            (each.host, each.destination.partition("@")[2]): each.port
            for each in every
            if isinstance(each, SshAccess)
        }
        assert {peer: ports["a", peer] for peer in "bc"} == {"b": 2222, "c": usual}
        deliveries = {each.peer: each.port for each in every if isinstance(each, Delivery)}
        assert deliveries == {"b": 2222, "c": usual}
        pins = next(
            each for each in every if isinstance(each, KnownHosts) and each.host == "a" and each.keys_of
        )
        label = "c" if usual == 22 else f"[c]:{usual}"
        assert {name for name, _ in pins.keys_of} == {"[b]:2222", label}
        (hook,) = (
            each for each in every if isinstance(each, File) and each.host == "a" and "auth-hook" in each.path
        )
        assert f"peers='b:2222 c:{usual}'\n" in str(hook.content)
