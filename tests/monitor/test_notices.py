"""Notices on their way, to a real SMTP server, a real HTTP server and a real sendmail."""

from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from reconciler.environment.rules import Notices
from reconciler.environment.settings import Environment, Host
from reconciler.journal.journal import Journal
from reconciler.monitor import delivery, notices
from reconciler.monitor.findings import Finding
from tests.support.schemas import hold

FINDING = Finding("drifted", "cn-1.example.org", "file", "/etc/x", "mode")
PLAN = {"changes": "sha256:" + "a" * 64, "actions": [{"verb": "change"}], "environment": "lab"}


class Mailbox:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.refuses = False

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        if self.refuses:
            return "451 try later"
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))  # type: ignore[arg-type]
        return "250 taken"


@pytest.fixture
def mailbox() -> Iterator[tuple[Mailbox, str]]:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    box = Mailbox()
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    yield box, f"127.0.0.1:{port}"
    controller.stop()


class Web:
    """An HTTP server that remembers what was asked of it."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, bytes]] = []
        self.status = 200
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                web.asked.append((self.command, self.path, body))
                self.send_response(web.status)
                self.end_headers()

            do_GET = do_POST  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def web() -> Iterator[Web]:
    found = Web()
    thread = threading.Thread(target=found.server.serve_forever)
    thread.start()
    yield found
    found.server.shutdown()
    found.server.server_close()
    thread.join()


def environment(**more: Any) -> Environment:
    host = Host(name="a", primary=True)
    return Environment(name="lab", router="r", hosts=(host,), file="lab.yaml", notices=Notices(**more))


def sent(
    env: Environment, notice: notices.Notice, folder: Path, sendmail: str = "/usr/sbin/sendmail"
) -> list[str]:
    """Posts and flushes; returns what was complained of."""
    said: list[str] = []
    with Journal(folder) as journal:
        delivery.post(journal, env, notice)
        delivery.flush(journal, env, said.append, (sendmail,))
    return said


def test_an_alert_arrives_as_a_mail(mailbox: tuple[Mailbox, str], tmp_path: Path) -> None:
    box, smtp = mailbox
    env = environment(mail=("ada@example.org", "bob@example.org"), smtp=smtp, sender="me@example.org")
    assert sent(env, notices.alert(env, [FINDING]), tmp_path) == []
    (mail,) = box.mails
    assert mail["Subject"] == "lab: drifted on cn-1"
    assert mail["To"] == "ada@example.org, bob@example.org"
    text = mail.get_content()
    assert "cn-1.example.org file /etc/x is no longer as declared: mode" in text
    assert "reconcile plan lab.yaml" in text
    assert mail["X-Reconcile-Id"] == f"lab-alert-{FINDING.id}"
    with Journal(tmp_path) as journal:
        assert journal.outbox() == []


def test_what_waits_for_approval_brings_the_plan_and_the_commands(
    mailbox: tuple[Mailbox, str], tmp_path: Path
) -> None:
    box, smtp = mailbox
    env = environment(mail=("ada@example.org",), smtp=smtp)
    sent(env, notices.approval(env, PLAN, ["~ a file /x"], ["policy wants it"]), tmp_path)
    (mail,) = box.mails
    body = mail.get_body()
    assert body is not None
    text = body.get_content()
    for command in ("plan lab.yaml -o lab-aaaaaaaaaaaa.json", "approve lab-aaaaaaaaaaaa.json", "apply lab-a"):
        assert f"reconcile {command}" in text
    (attached,) = mail.iter_attachments()
    assert json.loads(attached.get_content()) == PLAN


def test_a_webhook_gets_a_document_of_its_schema(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK", f"{web.url}/secret-token")
    env = environment(webhooks=("env:HOOK",))
    assert sent(env, notices.alert(env, [FINDING]), tmp_path) == []
    ((method, path, body),) = web.asked
    assert (method, path) == ("POST", "/secret-token")
    hold(json.loads(body), "notice")
    assert b"secret-token" not in (tmp_path / "journal.sqlite").read_bytes()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Apprise's own, on newer Pythons
def test_apprise_takes_it_to_wherever_its_url_leads(web: Web, tmp_path: Path) -> None:
    env = environment(apprise=(f"json://127.0.0.1:{web.server.server_port}/x",), template="<$subject>\n$text")
    assert sent(env, notices.alert(env, [FINDING]), tmp_path) == []
    ((_, _, body),) = web.asked
    said = json.loads(body)
    assert said["title"] == "lab: drifted on cn-1"
    assert said["message"].startswith("<lab: drifted on cn-1>")


def test_without_apprise_it_is_told_what_to_install_and_the_notice_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    env = environment(apprise=("json://127.0.0.1/x",))
    said, kept = sent(env, notices.alert(env, [FINDING]), tmp_path)
    assert "pip install 'reconcile-certificates[notify]'" in said
    assert kept == "it is kept, and the next run tries again"


def test_sendmail_is_given_the_whole_mail(tmp_path: Path) -> None:
    sendmail = tmp_path / "sendmail"
    sendmail.write_text(f'#!/bin/sh\n[ "$*" = "-t -i" ] && cat >{tmp_path}/mail\n')
    sendmail.chmod(0o755)
    env = environment(mail=("ada@example.org",))
    assert sent(env, notices.alert(env, [FINDING]), tmp_path / "state", str(sendmail)) == []
    assert "Subject: lab: drifted on cn-1" in (tmp_path / "mail").read_text()
    (first, *_) = sent(env, notices.alert(env, [FINDING]), tmp_path / "state", str(tmp_path / "none"))
    assert "there is no sendmail on this machine; install one, or set `smtp:`" in first


def test_what_cannot_be_sent_is_told_kept_and_sent_by_the_next_run(
    mailbox: tuple[Mailbox, str], web: Web, tmp_path: Path
) -> None:
    box, smtp = mailbox
    box.refuses = True
    web.status = 500
    env = environment(mail=("ada@example.org",), smtp=smtp, webhooks=(f"{web.url}/secret",))
    said = sent(env, notices.alert(env, [FINDING]), tmp_path)
    assert any("could not be sent by mail" in line and "try later" in line for line in said)
    assert any("the server answered 500" in line for line in said)
    assert not any("secret" in line for line in said)
    box.refuses, web.status = False, 200
    with Journal(tmp_path) as journal:
        assert [row[5] for row in journal.outbox()] == [1, 1]
        delivery.flush(journal, env, said.append)
        assert journal.outbox() == []
    assert len(box.mails) == 1


def test_a_notice_that_cannot_be_read_is_dropped_and_the_others_are_sent(
    mailbox: tuple[Mailbox, str], tmp_path: Path
) -> None:
    box, smtp = mailbox
    env = environment(mail=("ada@example.org",), smtp=smtp)
    said: list[str] = []
    with Journal(tmp_path) as journal:
        for text in ("{}", "nonsense", "[" * 20_000):
            journal.post("lab", "mail", text)
        delivery.post(journal, env, notices.alert(env, [FINDING]))
        delivery.flush(journal, env, said.append)
        assert journal.outbox() == []
    assert said == [f"notice {number} in the journal is damaged; it is dropped" for number in (1, 2, 3)]
    assert len(box.mails) == 1


def test_a_server_that_is_not_there_is_asked_once_a_run(tmp_path: Path) -> None:
    env = environment(webhooks=("http://127.0.0.1:9/",))
    said: list[str] = []
    with Journal(tmp_path) as journal:
        for _ in range(3):
            delivery.post(journal, env, notices.alert(env, [FINDING]))
        delivery.flush(journal, env, said.append)
        assert len([line for line in said if "refused" in line]) == 1
        assert len(journal.outbox()) == 3


def test_the_heartbeat(web: Web) -> None:
    said: list[str] = []
    delivery.ping_heartbeat(Notices(heartbeat=f"{web.url}/alive"), said.append)
    assert [(method, path) for method, path, _ in web.asked] == [("GET", "/alive")]
    delivery.ping_heartbeat(Notices(heartbeat="env:NOT_THERE"), said.append)
    assert said == ["the heartbeat could not be sent: the environment variable NOT_THERE is not set"]


def test_what_a_host_says_forges_no_line_and_calls_nobody(web: Web) -> None:
    said = "mode\nlab: all is well\x1b[2J \u202e<!channel> @everyone"
    odd = Finding("drifted", "cn-1.example.org", "file", "/etc/x", said)
    environment = Environment(name="lab", router="r", hosts=(Host(name="cn-1.example.org"),), file="lab.yaml")
    notice = notices.alert(environment, [odd])
    delivery.send(Notices(webhooks=(web.url,)), f"webhook {web.url}", notice)
    sent = json.loads(web.asked[0][2])
    for text in (
        sent["text"],
        sent["findings"][0]["detail"],
        delivery.message(Notices(), notice).get_content(),
    ):
        assert "all is well" in text
        assert not [line for line in text.splitlines() if line.startswith("lab:")]
        assert all(char.isprintable() or char == "\n" for char in text)
        assert "<!channel>" not in text
        assert "@everyone" not in text
