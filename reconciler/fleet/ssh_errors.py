"""Why a connection could not be made, in words that say what to do."""

from __future__ import annotations

import errno
import os
import re
import socket

import paramiko

from reconciler.environment.settings import Ssh
from reconciler.fleet import known_hosts
from reconciler.fleet.reply import HostError, NoAnswer, Refused, Unresponsive
from reconciler.fleet.routes import Route
from reconciler.messages import Message


class UnknownKey(paramiko.SSHException):
    """The host key that was offered is not pinned."""

    def __init__(self, key: paramiko.PKey) -> None:
        self.key = key
        super().__init__("host key unknown")


class RevokedKey(UnknownKey):
    """The key that was offered is marked as `@revoked`."""


class OnlyAuthority(UnknownKey):
    """No key is pinned, but an authority for host certificates is, which paramiko cannot ask for."""


def host_error(ssh: Ssh, route: Route, error: Exception, said: str, late: bool) -> HostError:
    """What went wrong with a connection; `said` is what sshd said, `late` whether the time was over."""
    name, user, where = route.name, route.user, f"{route.address}:{route.port}"
    file, identity = ssh.known_hosts, _keys_tried(route)
    words = str(error)
    match error:
        case paramiko.SSHException() if late and re.search("banner|No existing session|timeout", words):
            hint = f"does its sshd hang? {Message.NO_ANSWER}"
            return Unresponsive(name, f"no SSH answer from {where} within {ssh.timeout} s; {hint}")
        case UnknownKey() | paramiko.BadHostKeyException():
            reason = _host_key_error(file, name, where, error)
        case paramiko.AuthenticationException():
            usual = "is the public key in its authorized_keys, may the account log in?"
            hint = f"it said: {said}" if said else usual
            reason = f"authentication refused for {user} with {identity}; {hint} {Message.LOGIN_REFUSED}"
        case paramiko.SSHException() if "No authentication methods" in words:
            unset = "`ssh.identity` is not set, and no agent holds one"
            reason = f"there is no key to log in with: {unset} {Message.NO_KEY}"
        case paramiko.SSHException() if not route.identities and "No existing session" in words:
            hint = f"name the right one in `ssh.identity` {Message.LOGIN_REFUSED}"
            reason = f"it closed the connection while the agent's keys were tried for {user}; {hint}"
        case socket.gaierror() | UnicodeError():
            hint = f"set `address:` for it, or fix the DNS {Message.NO_ADDRESS}"
            reason = f"its name does not resolve ({where}); {hint}"
        case ValueError():
            reason = words
        case _:
            return _no_answer(ssh, name, where, error)
    return Refused(name, reason)


def _keys_tried(route: Route) -> str:
    return " or ".join([*route.identities, *(["the agent's keys"] if route.agent else [])])


def _host_key_error(
    file: str, name: str, where: str, error: UnknownKey | paramiko.BadHostKeyException
) -> str:
    key = error.key
    line = (
        f"{known_hosts.host_label(name, int(where.rpartition(':')[2]))} {key.get_name()} {key.get_base64()}"
    )
    match error:
        case RevokedKey():
            return (
                f"it offers a host key that {file} marks as @revoked {Message.HOST_KEY_REVOKED}:"
                f" {key.get_name()} {key.fingerprint}. Whoever has that key can pose as the host; give it"
                " another one"
            )
        case OnlyAuthority():
            return (
                f"its host key is not pinned, only an authority for it (@cert-authority in {file})"
                f" {Message.HOST_KEY_UNKNOWN}: certificates of hosts cannot be checked here. Compare"
                f" {key.get_name()} {key.fingerprint} on the host's console, then add to {file} the line"
                f" {line}"
            )
        case UnknownKey():
            return (
                f"its host key is not pinned {Message.HOST_KEY_UNKNOWN}: {key.get_name()} {key.fingerprint}"
                f" is offered. Compare it on the host's console, then add to {file} the line {line}"
            )
        case paramiko.BadHostKeyException(expected_key=pinned):
            return (
                f"its host key has changed {Message.HOST_KEY_CHANGED}: {key.fingerprint} is offered,"
                f" {pinned.fingerprint} is pinned. If the host was rebuilt, replace its line in"
                f" {file}; if not, another machine is answering at {where}"
            )


def _no_answer(ssh: Ssh, name: str, where: str, error: Exception) -> NoAnswer:
    match error:
        case ConnectionRefusedError():
            hint = f"is sshd running, is the port right? {Message.NO_ANSWER}"
            return NoAnswer(name, f"{where} refuses connections; {hint}")
        case TimeoutError():
            hint = f"is it up? {Message.NO_ANSWER}"
            return Unresponsive(name, f"no answer from {where} within {ssh.timeout} s; {hint}")
        case OSError() if error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH):
            hint = f"is it up? {Message.NO_ANSWER}"
            return Unresponsive(name, f"{where} is unreachable ({os.strerror(error.errno)}); {hint}")
        case _:
            said = str(error) or type(error).__name__
            hint = f"is that sshd, is the port right? {Message.NO_ANSWER}"
            return NoAnswer(name, f"{where} gave no usable SSH answer ({said}); {hint}")
