"""Certificates that somebody brings: what is good, what serves it, and when that loads another."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from reconciler import x509
from reconciler.kinds.certificate.brought import BroughtCertificate
from reconciler.kinds.certificate.brought_serving import BroughtServing
from reconciler.kinds.certificate.serving import TlsService
from reconciler.model import CannotSee, Change, Delta, InTransit, Ref
from reconciler.questions.tls import HandshakeResult
from tests.kinds.certificate.pairs import KEY, NOW, TRUST, WHOLE, commands, fullchain, planned, public
from tests.support.forged import key_pem, rsa_key

NAME = "cn.example.org"
SLAPD = TlsService("slapd", 389, "ldap", "slaptest -Q", "systemctl restart slapd", "slapd", (NAME,))
BROUGHT = Ref("a", BroughtCertificate.kind, "host")
SERVING = BroughtServing(
    host="a", certificate="host", brought=BROUGHT, file="/x/c.pem", key="/x/k.pem", roots=TRUST.roots,
    endpoints=(SLAPD,),
)  # fmt: skip
LEAF = x509.identity(x509.chain(WHOLE)[:1])
OTHER = fullchain(rsa_key())
RUNS = {"LoadState": "loaded", "ActiveState": "active", "Age": "9000", "NRestarts": "0"}
GOOD = {"good": True}


def seen(served: str | HandshakeResult, disk: str | None = WHOLE, age: int = 9000):
    shown = HandshakeResult(served) if isinstance(served, str) else served
    answers = {
        "on disk": disk,
        "unit slapd": {**RUNS, "Age": str(age)},
        f"slapd on 389 {NAME}": shown,
    }
    return SERVING.read(answers, NOW)


def plan_of(served: str | HandshakeResult, *, good: bool = True, disk: str | None = WHOLE):
    return planned(SERVING, seen(served, disk), brought={BROUGHT: {"good": good}})


def test_what_is_on_disk_and_served_is_as_desired() -> None:
    assert not plan_of(WHOLE).actions
    assert not planned(SERVING, seen(WHOLE), brought={BROUGHT: GOOD}).unknown


def test_another_one_on_disk_is_loaded_after_the_check_and_proven() -> None:
    made = plan_of(OTHER)
    (action,) = made.actions
    assert action.verb == "restart"
    assert [step.command.split(" ")[0] for step in action.steps] == [
        "[",
        "slaptest",
        "systemctl",
        "end=$(($(date",
    ]
    assert action.steps[0].where == ("@/x/c.pem", "@/x/k.pem")
    assert LEAF in action.steps[0].command
    assert "-connect 127.0.0.1:389 -starttls ldap -servername cn.example.org" in action.steps[3].command


def test_a_bad_pair_is_never_loaded() -> None:
    assert not plan_of(OTHER, good=False).actions
    assert not plan_of(OTHER, good=False, disk=None).actions


def test_what_cannot_be_judged_on_disk_is_not_called_as_desired() -> None:
    made = planned(SERVING, seen(OTHER), brought={BROUGHT: CannotSee("the account may not look")})
    assert made.unknown == {SERVING.ref: "the account may not look"}


def test_one_that_is_down_is_left_to_its_own_resource_and_one_that_starts_is_waited_for() -> None:
    assert not plan_of(HandshakeResult("", "nothing listens")).actions
    assert isinstance(seen(HandshakeResult("", "nothing listens"), age=3), InTransit)
    assert not isinstance(seen(WHOLE, age=3), InTransit)


def test_the_leaf_counts_but_what_is_sent_leads_to_the_roots() -> None:
    alone = WHOLE[: WHOLE.index("-----END") + 26]
    assert x509.identity(x509.chain(alone)) == LEAF
    (action,) = plan_of(alone).actions
    assert not action.steps
    assert "does not lead to one of the roots" in str(action.blocked)
    assert "it has to send the whole of /x/c.pem" in str(action.blocked)
    # With more of the chain in the file than the service sends, or less, it is the same certificate.
    assert not plan_of(WHOLE, disk=alone).actions


def steps_of(serving: BroughtServing, release: str) -> list[str]:
    state = {"current": release, serving.endpoints[0].label: release}
    delta = Delta(serving.endpoints[0].label, "another", release)
    return [each.command for each in serving.steps(Change({delta.field: delta}, {}, state))]


def run(command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=30, check=False)


@contextmanager
def serves(folder: Path) -> Iterator[int]:
    """Openssl's own server with the pair in a folder; its port."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    command = [
        "openssl",
        "s_server",
        "-accept",
        f"127.0.0.1:{port}",
        "-quiet",
        "-cert",
        "c.pem",
        "-key",
        "k.pem",
    ]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet) as server:
        try:
            yield port
        finally:
            server.terminate()


def test_the_commands_tell_what_is_served_from_what_is_not(tmp_path: Path) -> None:
    file, key = tmp_path / "c.pem", tmp_path / "k.pem"
    file.write_text(WHOLE)
    key.write_text(key_pem(KEY))
    with serves(tmp_path) as port:
        service = TlsService("s", port, "tls", None, ":", "s", (None, NAME))
        serving = BroughtServing(
            host="a", certificate="host", brought=BROUGHT, file=str(file), key=str(key), roots=TRUST.roots,
            endpoints=(service,), deadline=5,
        )  # fmt: skip
        same, _, proof = steps_of(serving, LEAF)
        assert run(same).returncode == 0
        done = run(proof)
        assert done.returncode == 0, done
        _, _, other = steps_of(serving, "0" * 32)
        refused = run(other.replace("+ 5", "+ 0"))
        assert (refused.returncode, "does not serve it" in refused.stdout) == (1, True)
    file.write_text(OTHER)
    changed = run(same)
    assert (changed.returncode, changed.stdout) == (1, "the files have changed since they were looked at\n")
    file.write_text(WHOLE)
    key.write_text(key_pem(rsa_key()))
    assert run(same).returncode == 1


def test_a_good_pair_is_good_and_one_for_another_purpose_is_not() -> None:
    one = BroughtCertificate(
        host="a", certificate="host", file="/x/c.pem", key="/x/k.pem", roots=TRUST.roots, names=(NAME,)
    )
    state = one.read({"fullchain": WHOLE, "public": public(WHOLE)}, NOW)
    assert not planned(one, state).actions
    assert state["good"] is True
    wrong = one.read({"fullchain": OTHER, "public": public(WHOLE)}, NOW)
    assert (wrong["good"], wrong["key"]) == (False, "the key belongs to another certificate")
    assert commands(planned(one, wrong)) == ""
    client = replace(one, purpose="client").read({"fullchain": WHOLE, "public": public(WHOLE)}, NOW)
    assert (client["good"], client["purpose"]) == (False, "for serverAuth alone")
