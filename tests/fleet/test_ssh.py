"""Doors and shells: what is tried again and what is not, and what bounds an answer.

Connections are counted by a relay on this machine, behind which is a real sshd.
"""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from lab import Fleet, LabHost
from reconciler.environment.settings import Host, Ssh
from reconciler.fleet.host import RemoteHost
from reconciler.fleet.reply import HostError, Locked, NoAnswer, Refused, Unresponsive
from reconciler.fleet.shell import Shell
from reconciler.fleet.ssh import ConnectionFactory
from tests.support.faults import new_key, public_of

NAME = "host.test.dataone.org"
END = "e" * 32


class Listener:
    """A TCP port of this machine that counts those who call, and does with each what it is told."""

    def __init__(self, serve: Callable[[socket.socket], None]) -> None:
        self.calls = 0
        self._serve = serve
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                caller, _ = self._socket.accept()
                self.calls += 1
                self._open.append(caller)
                threading.Thread(target=self._one, args=(caller,), daemon=True).start()

    def _one(self, caller: socket.socket) -> None:
        with suppress(OSError):
            self._serve(caller)

    def hang_up(self) -> None:
        """Cuts every connection there is."""
        for caller in self._open:
            with suppress(OSError):
                caller.shutdown(socket.SHUT_RDWR)
            caller.close()
        self._open.clear()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self.hang_up()


def hangs_up(caller: socket.socket) -> None:
    caller.close()


def says_nothing(caller: socket.socket) -> None:
    while caller.recv(1024):
        pass


def speaks_http(caller: socket.socket) -> None:
    caller.recv(1024)
    caller.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
    caller.close()


def greets_and_stops(caller: socket.socket) -> None:
    caller.sendall(b"SSH-2.0-OpenSSH_9.2p1\r\n")
    says_nothing(caller)


def sends_garbage(caller: socket.socket) -> None:
    caller.sendall(b"SSH-2.0-OpenSSH_9.2p1\r\n" + bytes(range(256)) * 64)
    says_nothing(caller)


def relay(address: str) -> Callable[[socket.socket], None]:
    """Passes everything on to an sshd, and back."""

    def serve(caller: socket.socket) -> None:
        with socket.create_connection((address, 22), timeout=10) as inner:
            inner.settimeout(None)
            threading.Thread(target=pump, args=(inner, caller), daemon=True).start()
            pump(caller, inner)

    def pump(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while part := source.recv(1 << 16):
                target.sendall(part)
            target.shutdown(socket.SHUT_RDWR)

    return serve


@contextmanager
def listening(serve: Callable[[socket.socket], None]) -> Iterator[Listener]:
    with closing(Listener(serve)) as listener:
        yield listener


@contextmanager
def doors(ssh: Ssh) -> Iterator[ConnectionFactory]:
    with closing(ConnectionFactory(ssh)) as made:
        yield made


def refused(ssh: Ssh) -> tuple[HostError, float]:
    """How a connection to this machine's port ends, and how long that took."""
    began = time.monotonic()
    with doors(ssh) as made, pytest.raises(HostError) as raised:
        made.connect(Host(name=NAME, address="127.0.0.1"))
    assert raised.value.host == NAME
    return raised.value, time.monotonic() - began


@pytest.fixture
def nobody(tmp_path: Path) -> Ssh:
    """Settings with a key and no pinned host key."""
    (tmp_path / "known_hosts").write_text("", encoding="ascii")
    return Ssh(
        identity=str(new_key(tmp_path / "key")),
        known_hosts=str(tmp_path / "known_hosts"),
        config="none",
        timeout=1,
    )


@pytest.fixture
def host(fleet: Fleet) -> LabHost:
    return fleet.hosts[0]


@pytest.fixture
def relayed(fleet: Fleet, host: LabHost) -> Iterator[Listener]:
    with listening(relay(host.address)) as listener:
        yield listener


def settings(fleet: Fleet, host: LabHost, port: int, tmp_path: Path, **more: object) -> Ssh:
    """Settings for the relayed host, whose key is pinned for this port."""
    known = tmp_path / "pins"
    known.write_text(f"[{NAME}]:{port} {key_of(host)}\n", encoding="ascii")
    given = {
        "user": "ops",
        "port": port,
        "identity": str(fleet.identity),
        "known_hosts": str(known),
        "config": "none",
        "timeout": 10,
    }
    return Ssh(**given | more)  # type: ignore[arg-type]


def key_of(host: LabHost) -> str:
    return host.host_key_line().partition(" ")[2]


# -- again or not ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("serve", "calls", "kind", "words"),
    [
        (hangs_up, 3, NoAnswer, "gave no usable SSH answer"),
        (sends_garbage, 3, NoAnswer, "gave no usable SSH answer"),
        (speaks_http, 3, NoAnswer, "is that sshd, is the port right? [no-answer]"),
        (says_nothing, 1, Unresponsive, "within 1 s; does its sshd hang? [no-answer]"),
        (greets_and_stops, 1, Unresponsive, "within 1 s; does its sshd hang? [no-answer]"),
    ],
)
def test_only_no_answer_is_tried_again_twice(
    nobody: Ssh,
    capfd: pytest.CaptureFixture[str],
    serve: Callable[[socket.socket], None],
    calls: int,
    kind: type[HostError],
    words: str,
) -> None:
    with listening(serve) as listener:
        # A busy machine must not take long to hang up, or it would count as no answer in time.
        timeout = 1 if kind is Unresponsive else 20
        error, took = refused(Ssh(**vars(nobody) | {"port": listener.port, "timeout": timeout}))
    assert (type(error), listener.calls) == (kind, calls)
    assert words in error.reason
    assert f"127.0.0.1:{listener.port}" in error.reason
    assert took < 5
    assert "".join(capfd.readouterr()) == "", "paramiko's own log stays quiet"


def test_a_closed_port_is_tried_three_times_in_a_bounded_time(nobody: Ssh) -> None:
    with listening(hangs_up) as listener:
        port = listener.port
    error, took = refused(Ssh(**vars(nobody) | {"port": port}))
    assert (type(error), took < 5) == (NoAnswer, True)
    assert (
        error.reason
        == f"127.0.0.1:{port} refuses connections; is sshd running, is the port right? [no-answer]"
    )
    assert took > 0.4, "it has waited in between"


@pytest.mark.fleet
def test_a_third_call_that_is_answered_is_enough(fleet: Fleet, host: LabHost, tmp_path: Path) -> None:
    real = relay(host.address)

    def third(caller: socket.socket) -> None:
        (real if listener.calls == 3 else hangs_up)(caller)

    with listening(third) as listener, doors(settings(fleet, host, listener.port, tmp_path)) as made:
        made.connect(Host(name=NAME, address="127.0.0.1")).close()
    assert listener.calls == 3


@pytest.mark.fleet
@pytest.mark.parametrize("fault", ["unknown", "changed", "key"])
def test_a_no_is_not_asked_for_twice(
    fleet: Fleet, host: LabHost, relayed: Listener, tmp_path: Path, fault: str
) -> None:
    ssh = settings(fleet, host, relayed.port, tmp_path)
    other = new_key(tmp_path / "other")
    if fault == "key":
        ssh = settings(fleet, host, relayed.port, tmp_path, identity=str(other))
    else:
        name = NAME if fault == "changed" else "another.test.dataone.org"
        Path(ssh.known_hosts).write_text(f"[{name}]:{relayed.port} {public_of(other)}\n", encoding="ascii")
    error, _ = refused(ssh)
    assert (type(error), relayed.calls) == (Refused, 1)


# -- host keys -------------------------------------------------------------------------------


@pytest.mark.fleet
@pytest.mark.parametrize("spelling", ["name", "address", "list", "hashed", "tabs"])
def test_a_pin_is_found_however_known_hosts_spells_the_host(
    fleet: Fleet, host: LabHost, relayed: Listener, tmp_path: Path, spelling: str
) -> None:
    ssh = settings(fleet, host, relayed.port, tmp_path)
    known, name = Path(ssh.known_hosts), f"[{NAME}]:{relayed.port}"
    lines = {
        "name": f"{name} {key_of(host)}",
        "address": f"[127.0.0.1]:{relayed.port} {key_of(host)} with a comment",
        "list": f"other,{name},another {key_of(host)}",
        "hashed": f"{name} {key_of(host)}",
        "tabs": f"  {name}\t{key_of(host)}",
    }
    known.write_text(f"{lines[spelling]}\n", encoding="ascii")
    if spelling == "hashed":
        subprocess.run(["ssh-keygen", "-q", "-H", "-f", known], check=True, capture_output=True, timeout=20)
        assert NAME not in known.read_text(encoding="ascii")
    bad = "# a comment\n\nnonsense\nx ssh-new AAAA\n|1|no|hash ssh-rsa A\n"
    known.write_text(bad + known.read_text(encoding="ascii"), encoding="ascii")
    with doors(ssh) as made:
        made.connect(Host(name=NAME, address="127.0.0.1")).close()


@pytest.mark.fleet
def test_a_revoked_key_and_an_authority_alone_are_refused_by_name(
    fleet: Fleet, host: LabHost, relayed: Listener, tmp_path: Path
) -> None:
    ssh = settings(fleet, host, relayed.port, tmp_path)
    known, name, key = Path(ssh.known_hosts), f"[{NAME}]:{relayed.port}", key_of(host)
    other = public_of(new_key(tmp_path / "other"))
    for text, words in (
        (f"{name} {key}\n@revoked * {key}", "marks as @revoked [host-key-revoked]"),
        (f"{name} {other}\n@revoked [*]:* {key}", "marks as @revoked [host-key-revoked]"),
        (f"@cert-authority *,[*]:* {key}", "only an authority for it (@cert-authority in "),
        (f"@cert-authority other {key}\nother {key}", "its host key is not pinned [host-key-unknown]"),
    ):
        known.write_text(f"{text}\n", encoding="ascii")
        error, _ = refused(ssh)
        assert (type(error), words in error.reason) == (Refused, True), error.reason
    for text in (
        f"[*.dataone.org]:* {key}",
        f"{name} {key}\n{name} {other}",
        f"{name} {other}\n{name} {key}",
    ):
        known.write_text(f"{text}\n@revoked other {key}\n", encoding="ascii")
        with doors(ssh) as made:
            made.connect(Host(name=NAME, address="127.0.0.1")).close()


@pytest.mark.fleet
def test_a_host_that_speaks_only_weakly_is_not_spoken_to(
    fleet: Fleet, host: LabHost, relayed: Listener, tmp_path: Path
) -> None:
    try:
        for line in ("Ciphers aes128-cbc", "MACs hmac-sha1"):
            conf = "/etc/ssh/sshd_config.d/weak.conf"
            host.run(
                f"echo {line} >{conf}; echo Ciphers aes128-ctr >>{conf}; systemctl reload ssh; sleep 0.3"
            )
            error, _ = refused(settings(fleet, host, relayed.port, tmp_path))
            assert "gave no usable SSH answer (Incompatible ssh " in error.reason, error.reason
    finally:
        host.run("rm /etc/ssh/sshd_config.d/weak.conf; systemctl reload ssh")


@pytest.mark.fleet
def test_the_kind_of_key_that_is_pinned_is_the_one_that_is_asked_for(
    fleet: Fleet, host: LabHost, relayed: Listener, tmp_path: Path
) -> None:
    # It also has an ed25519 key, which is what would be offered otherwise.
    host.run(
        "ssh-keygen -q -t rsa -b 2048 -N '' -f /etc/ssh/rsa_too </dev/null;"
        " echo 'HostKey /etc/ssh/rsa_too' >/etc/ssh/sshd_config.d/rsa.conf; systemctl reload ssh"
    )
    try:
        public = " ".join(host.run("cat /etc/ssh/rsa_too.pub").stdout.split()[:2])
        ssh = settings(fleet, host, relayed.port, tmp_path)
        Path(ssh.known_hosts).write_text(f"[{NAME}]:{relayed.port} {public}\n", encoding="ascii")
        with doors(ssh) as made:
            made.connect(Host(name=NAME, address="127.0.0.1")).close()
    finally:
        host.run("rm /etc/ssh/rsa_too* /etc/ssh/sshd_config.d/rsa.conf; systemctl reload ssh")


# -- the jump host ---------------------------------------------------------------------------


def test_a_jump_host_that_hangs_is_waited_for_once_for_all_hosts(nobody: Ssh) -> None:
    with listening(says_nothing) as listener:
        began = time.monotonic()
        with doors(Ssh(**vars(nobody) | {"jump": f"127.0.0.1:{listener.port}"})) as made:

            def reason(number: int) -> str:
                with pytest.raises(Refused) as raised:
                    made.connect(Host(name=f"host-{number}", address="192.0.2.1"))
                return raised.value.reason

            with ThreadPoolExecutor(8) as pool:
                reasons = set(pool.map(reason, range(8)))
    assert reasons == {
        f"the jump host 127.0.0.1: no SSH answer from 127.0.0.1:{listener.port} within 1 s; does its sshd hang? [no-answer]"
    }
    assert listener.calls == 1
    assert time.monotonic() - began < 3


@pytest.mark.fleet
def test_the_way_to_the_jump_host_is_shared_and_made_again_when_it_was_lost(
    fleet: Fleet, host: LabHost, relayed: Listener, tmp_path: Path
) -> None:
    known = tmp_path / "pins"
    known.write_text(
        f"[127.0.0.1]:{relayed.port} {key_of(host)}\n{fleet.known_hosts.read_text(encoding='ascii')}",
        encoding="ascii",
    )
    behind = fleet.hosts[1]
    ssh = Ssh(
        user="ops",
        identity=str(fleet.identity),
        known_hosts=str(known),
        timeout=10,
        jump=f"ops@127.0.0.1:{relayed.port}",
    )
    with doors(ssh) as made:
        for _ in range(2):
            made.connect(Host(name=behind.name, address=behind.address)).close()
        assert relayed.calls == 1
        relayed.hang_up()
        time.sleep(0.5)
        made.connect(Host(name=behind.name, address=behind.address)).close()
        assert relayed.calls == 2


# -- a shell's answer ------------------------------------------------------------------------


@contextmanager
def shell(fleet: Fleet, host: LabHost, command: str) -> Iterator[Shell]:
    ssh = Ssh(user="ops", identity=str(fleet.identity), known_hosts=str(fleet.known_hosts), timeout=10)
    with doors(ssh) as made:
        opened = Shell(host.name, made.connect(Host(name=host.name, address=host.address)), command, 10)
        with closing(opened):
            yield opened


@pytest.mark.fleet
def test_the_noise_of_a_login_is_kept_apart_from_the_answer(fleet: Fleet, host: LabHost) -> None:
    with shell(fleet, host, "echo hello; exec sh") as opened:
        text = f"printf 'one\\n\\377\\0'; printf '\\n{END} 0 12\\n'\n"
        assert opened.ask(text, END, 10, 1000) == (b"hello\n", b"one\n\xff\0", "0 12")
        assert opened.ask(f"pwd; printf '\\n{END} \\n'\n", END, 10, 1000) == (b"", b"/home/ops\n", "")


@pytest.mark.fleet
def test_an_end_that_comes_in_pieces_is_an_end(fleet: Fleet, host: LabHost) -> None:
    with shell(fleet, host, "exec sh") as opened:
        pieces = [f"\\n{END[:9]}", END[9:], " ", "1", "2 0", "\\n"]
        slow = "; sleep 0.1; ".join(f"printf '{piece}'" for piece in pieces)
        assert opened.ask(f"printf yes; {slow}\n", END, 10, 1000) == (b"", b"yes", "12 0")


@pytest.mark.fleet
@pytest.mark.parametrize(
    ("text", "kind", "reason"),
    [
        ("yes\n", Refused, "it answered more than 1 MB; check its login scripts"),
        (
            "sleep 20\n",
            Unresponsive,
            "no answer within 1 s; a command hangs there, or the connection is dead",
        ),
        ("while :; do echo x; sleep 0.1; done\n", Unresponsive, "no answer within 1 s"),
        ("exit 3\n", NoAnswer, "the connection ended before the answer was whole"),
        ("sleep 0.5; kill $PPID\n", NoAnswer, "the connection ended before the answer was whole"),
    ],
)
def test_an_answer_is_bounded_in_bytes_and_in_time(
    fleet: Fleet, host: LabHost, text: str, kind: type[HostError], reason: str
) -> None:
    with shell(fleet, host, "exec sh") as opened:
        began = time.monotonic()
        with pytest.raises(HostError) as raised:
            opened.ask(f"printf 'so far '; {text}", END, 1, 1 << 20)
        assert time.monotonic() - began < 4
        assert (type(raised.value), raised.value.host) == (kind, host.name)
        assert raised.value.reason.startswith(reason)
        if kind is not Refused:
            assert b"so far" in raised.value.output
        with pytest.raises(NoAnswer):
            opened.ask("true\n", END, 1, 1 << 20)


# -- a host ----------------------------------------------------------------------------------


@contextmanager
def connected(
    fleet: Fleet, host: LabHost, count: int = 1, lifetime: int = 60, **more: object
) -> Iterator[list[RemoteHost]]:
    given = {
        "user": "ops",
        "identity": str(fleet.identity),
        "known_hosts": str(fleet.known_hosts),
        "timeout": 10,
    }
    with doors(Ssh(**given | more)) as made:  # type: ignore[arg-type]
        entry = Host(name=host.name, address=host.address)
        hosts = [RemoteHost(entry, made, lifetime) for _ in range(count)]
        try:
            yield hosts
        finally:
            for each in hosts:
                each.close()


@pytest.mark.fleet
def test_a_script_that_takes_too_long_is_ended_on_the_host_and_the_shell_goes_on(
    fleet: Fleet, host: LabHost
) -> None:
    with connected(fleet, host) as [opened]:
        reply = opened.run("echo begun; sleep 1005 & sleep 1005; echo never", 1)
        assert (reply.output, reply.root, reply.timed_out) == (b"begun\n", True, True)
        assert host.run("pgrep -x -f 'sleep 1005'", check=False).stdout == ""
        # One that will not end by itself is killed.
        began = time.monotonic()
        assert opened.run("trap '' TERM; echo deaf; sleep 1006; sleep 1006; echo never", 1).timed_out
        assert time.monotonic() - began < 9
        assert host.run("pgrep -x -f 'sleep 1006'", check=False).stdout == ""
        assert opened.run("echo well", 10).output == b"well\n"


@pytest.mark.fleet
def test_a_script_runs_whole_or_not_at_all_and_reads_nothing_of_ours(fleet: Fleet, host: LabHost) -> None:
    with connected(fleet, host) as [opened]:
        reply = opened.run("cat; read x; printf '%s' \"[$x]\"; echo 'a\\'\"'\"'b' \u00e9\udcff", 10)
        assert reply.output == "[]a\\'b \u00e9\udcff\n".encode("utf-8", "surrogateescape")
        assert opened.run("echo one; exit 5; echo two", 10).output == b"one\n"
        assert b"yntax error" in opened.run("echo one; if", 10).output
        assert opened.run("echo two", 10).output == b"two\n"


@pytest.mark.fleet
def test_a_lock_is_held_until_its_connection_ends_and_names_its_holder(fleet: Fleet, host: LabHost) -> None:
    with connected(fleet, host, 2) as [first, second]:
        first.lock("me, on 'here', since $(now)")
        first.run("true", 10)
        with pytest.raises(Locked) as raised:
            second.lock("somebody else")
        assert raised.value.reason == "me, on 'here', since $(now)"
        first.close()
        for _ in range(50):
            with suppress(Locked):
                second.lock("somebody else")
                break
            time.sleep(0.1)
        assert host.run("cat /run/reconciler.lock").stdout == "somebody else\n"


@pytest.mark.fleet
def test_who_is_not_root_may_look_and_not_lock(fleet: Fleet, host: LabHost) -> None:
    with connected(fleet, host, user="looker") as [opened]:
        reply = opened.run("id -un", 10)
        assert (reply.output, reply.root, reply.sudo) == (b"looker\n", False, "sudo: a password is required")
        with pytest.raises(Refused, match="looker may not become root"):
            opened.lock("me")
    with connected(fleet, host, sudo=False) as [opened]:
        assert (opened.run("id -un", 10).output, opened.run("true", 10).sudo) == (b"ops\n", "")
        with pytest.raises(Refused, match=r"`ssh\.sudo` is false; only looking is possible"):
            opened.lock("me")


def behind(host: LabHost) -> str:
    """What waits on the host for a run of ours."""
    return host.run("pgrep -a -f 'head -c 10$'; flock -n /run/reconciler.lock true || echo locked").stdout


@pytest.mark.fleet
def test_a_lock_lives_as_long_as_its_holder_by_the_hosts_clock(fleet: Fleet, host: LabHost) -> None:
    with connected(fleet, host, 2, lifetime=2) as [first, second]:
        first.lock("the first")
        time.sleep(3)  # signs of life
        assert first.run("sleep 3; echo still here", 10).output == b"still here\n"
        with pytest.raises(Locked):
            second.lock("the second")
        # Nothing tells the host of a cable that is pulled.
        host.partition()
        try:
            time.sleep(4)
            assert behind(host) == ""
        finally:
            host.heal()
        second.lock("the second")
        with pytest.raises(NoAnswer):
            first.run("touch /root/by-the-first", 5)
        for _ in range(2):  # neither over a connection that is made anew
            with pytest.raises(Refused, match="this run has lost its lock there"):
                first.run("touch /root/by-the-first", 5)
        assert host.run("ls /root/by-the-first", check=False).stdout == ""
        assert second.run("echo mine", 5).output == b"mine\n"
        second.close()
        deadline = time.monotonic() + 2
        while behind(host) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert behind(host) == ""


@pytest.mark.fleet
def test_a_lock_whose_file_was_taken_away_is_lost(fleet: Fleet, host: LabHost) -> None:
    with connected(fleet, host, 2) as [first, second]:
        first.lock("the first")
        host.run("rm /run/reconciler.lock")
        with pytest.raises(Refused, match="this run has lost its lock there"):
            first.run("touch /root/by-the-first", 5)
        second.lock("the second")
        with pytest.raises(Refused, match="this run has lost its lock there"):
            first.run("touch /root/by-the-first", 5)
        # A script of any size comes whole, with whatever it ends.
        big = "# " + "x" * 300_000
        assert second.run(f"{big}\necho é\n\n", 5).output == "é\n".encode()
