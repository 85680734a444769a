"""A host: one connection, on it one shell, and `run`.

The shell stays open between rounds. A script reaches it whole, as a here-document, before
its first line runs, and runs under `timeout`, so that a command that hangs on the host
ends there too. The lock of a run is held by that same shell, which ends where it hears
nothing of us: the lock frees itself when the last process of a broken run has ended.
"""

from __future__ import annotations

import re
import secrets

from reconciler.environment.settings import Host
from reconciler.fleet import needed
from reconciler.fleet.probe import PROLOGUE
from reconciler.fleet.reply import Hear, HostError, Locked, Refused, Reply
from reconciler.fleet.shell import Shell
from reconciler.fleet.ssh import ConnectionFactory
from reconciler.messages import Message
from reconciler.model import quote

REPLY_LIMIT = 16 * 1024 * 1024
"""Bytes a host may answer in one exchange."""

LOCK = "/run/reconciler.lock"
LIFETIME = 60
"""Seconds for which a host keeps the lock of a run of which it hears nothing, while no script of
that run is running there; a script has a time limit of its own."""

LOST = 75
"""How a script ends that was not started, because its shell does not hold the lock of the run."""

GRACE = 10
"""Seconds that the host's own time limit is ahead of ours, so that it can report."""

LOCK_LOST = (
    f"this run has lost its lock there ({LOCK}), for the connection was lost or the host heard nothing"
    " of us for too long; nothing more is done there. See what was done with `reconcile plan`"
)


class RemoteHost:
    """One host. Connects at the first `run`. Not for use by two threads at once.

    `lifetime` is for how many seconds the host keeps our lock where it hears nothing of us.
    """

    def __init__(self, entry: Host, connections: ConnectionFactory, lifetime: int = LIFETIME) -> None:
        self.name = entry.name
        self._lifetime = lifetime
        self._token = ""
        self._entry = entry
        self._connections = connections
        self._shell: Shell | None = None
        self._sudo: str | None = None

    def run(self, script: str, seconds: float, hear: Hear = lambda part: None) -> Reply:
        """Runs a script to its end, for at most `seconds`; `hear` is given what comes, as it comes. Raises
        `HostError`.

        Once `lock` was called, a script is only run by the shell that holds that lock.
        """
        # timeout(1) ends the script and all it has started: 124, or 137 where that took KILL.
        # Its input is /dev/null, or a command that reads would eat what comes after it.
        end = secrets.token_hex(16)
        text = (
            f'{needed.script()}if [ "$m" ]; then printf %s "$m"; else\n'
            f"timeout -k 5 {seconds:.0f} sh -s <<'{end}'\n{{\n{script}\nexit 0\n}} </dev/null\n{end}\n"
            f"s=$?; fi; {self._report(end)}"
        )
        if self._token:
            # `token` is a variable of the shell that took the lock; a new connection has none. The
            # file tells whether somebody removed it, and another run made and locked a new one.
            text = (
                f"h=; {{ read -r h <{LOCK}; }} 2>/dev/null\n"
                f'if [ "${{token-}}" != {self._token} ] || [ "$h" != "$who" ]; then s={LOST}\n'
                f"{self._report(end)}else\n{text}fi\n"
            )
        output, status, uid = self._ask(text, end, seconds + GRACE, hear)
        if status == LOST:
            raise Refused(self.name, LOCK_LOST)
        if status in (needed.LACKING, needed.UNFIT):
            named = ", ".join(output.decode("utf-8", "replace").split())
            reason = f"it lacks the command {named} {Message.COMMAND_MISSING}; install it there"
            if status == needed.UNFIT:
                reason = (
                    f"its {named} does not do what GNU's does {Message.COMMAND_MISSING}; see there which"
                    " it is (`type -a`), and what replaced it"
                )
            raise Refused(self.name, reason)
        return Reply(output, uid == 0, self._sudo or "", timed_out=status in (124, 137))

    def lock(self, who: str) -> None:
        """Takes the host's lock, for as long as the connection lives and the host hears of us.

        Raises `Locked` where another run has it, `Refused` where we are not root.
        """
        end = secrets.token_hex(16)
        token = secrets.token_hex(16)
        # The subshell tries first: a shell that is not interactive ends when `exec` fails
        # (POSIX, 2.8.1). flock(1) holds the lock through descriptor 9 until this shell ends. All
        # is one compound command: it is read whole before the report, after which frames come.
        text = (
            f"{{ s=8; if (: >>{LOCK}) 2>/dev/null; then exec 9>>{LOCK}\n"
            f"flock -n 9; l=$?\n"
            f"if [ $l = 0 ]; then token={token} who={quote(who)}; printf '%s\\n' \"$who\" >{LOCK}; s=0\n"
            f"else exec 9>&-; s=$l; [ $l != 1 ] || {{ tail -n 1 {LOCK}; s=7; }}; fi; fi\n"
            f"{self._report(end)}[ $s != 0 ] || {{\n{_wait_for_frames(self._lifetime)}\nexit 0; }}; }}\n"
        )
        output, status, uid = self._ask(text, end, self._connections.ssh.timeout)
        if uid != 0:
            raise Refused(self.name, self._not_root())
        if status == 7:
            held = output.decode("utf-8", "replace").strip().splitlines()
            raise Locked(self.name, held[-1] if held else "somebody")
        if status == 8:
            raise Refused(self.name, f"the lock {LOCK} cannot be opened; is /run writable?")
        if status != 0:
            raise Refused(self.name, f"`flock` (util-linux) ended with {status}; is it installed?")
        self._token = token
        if self._shell is not None:
            self._shell.keep_alive(self._lifetime / 4)

    def release(self, last: str) -> None:
        """Releases the lock, and ends the connection; the shell that holds it runs `last` before.

        Raises `HostError` where that failed, or the lock was lost by then. The lock is gone in any case.
        """
        end = secrets.token_hex(16)
        text = (
            f"h=; {{ read -r h <{LOCK}; }} 2>/dev/null\n"
            f'if [ "${{token-}}" != {self._token or "-"} ] || [ "$h" != "$who" ]; then s={LOST}\n'
            f"else\n{last}\ns=$?; fi\n{self._report(end)}exit 0\n"
        )
        try:
            if self._shell is None:  # it was lost, and the lock with it
                raise Refused(self.name, LOCK_LOST)
            _, status, _ = self._ask(text, end, min(self._connections.ssh.timeout, GRACE))
        finally:
            self.close()
        if status != 0:
            raise Refused(self.name, LOCK_LOST if status == LOST else f"its last script ended with {status}")

    def close(self) -> None:
        """Ends the connection, and with it the lock."""
        if self._shell is not None:
            self._shell.close()
        self._shell = None

    @staticmethod
    def _report(end: str) -> str:
        return f'printf \'\\n{end} %d %d\\n\' "$s" "$(id -u)"\n'

    def _not_root(self) -> str:
        who = self._connections.routes.of(self._entry).user
        if not self._connections.ssh.sudo:
            return f"{who} is not root and `ssh.sudo` is false; only looking is possible {Message.NOT_ROOT}"
        said = self._sudo or "sudo gave no reason"
        allow = f"allow `{who} ALL=(ALL) NOPASSWD: ALL` in sudoers"
        return f"{who} may not become root ({said}); {allow} {Message.NOT_ROOT}"

    def _ask(
        self, text: str, end: str, seconds: float, hear: Hear = lambda part: None
    ) -> tuple[bytes, int, int]:
        if self._shell is None:
            client = self._connections.connect(self._entry)
            self._shell = Shell(self.name, client, self._command(), self._connections.ssh.timeout)
            self._sudo = None
        try:
            noise, output, tail = self._shell.ask(text, end, seconds, REPLY_LIMIT, hear)
        except HostError:
            self._shell = None
            raise
        if self._sudo is None:
            self._sudo = _sudo_message(noise)
        words = [int(word) if word.isdecimal() else 255 for word in tail.split()]
        status, uid = words if len(words) == 2 else (255, 255)
        return output, status, uid

    def _command(self) -> str:
        is_root = self._connections.routes.of(self._entry).user == "root"
        root = is_root or not self._connections.ssh.sudo
        # Where sudo wants a password the look goes on as far as the account itself can see.
        shell = "exec sh" if root else "sudo -n sh || exec sh"
        # Nothing of what a start-up file has set may count; the quotes suit every login shell.
        return f"exec /bin/sh -c 'exec 2>&1; umask 022; {PROLOGUE}; {shell}'"


def _wait_for_frames(lifetime: int) -> str:
    """Shell that runs what comes in frames (see `Shell.keep_alive`), until it has waited `lifetime`
    seconds for one.

    `read` has no time limit in POSIX, so head(1) waits, under timeout(1): it takes no byte too
    many. What waits does not hold the lock. A long frame has a second more for each 10 kB.
    """
    return (
        f"while n=$(timeout {lifetime} head -c 10 9>&-) && [ ${{#n}} = 10 ]; do n=${{n##* }}\n"
        "[ $n != 0 ] || continue\n"
        f"t=$(timeout $(({lifetime} + n / 10000)) head -c $n 9>&-) && [ ${{#t}} = $n ] || break\n"
        'eval "$t"; done'
    )


def _sudo_message(noise: bytes) -> str:
    """What sudo said when it did not let us in: the last of it, for the first are warnings."""
    said = re.findall(r"sudo: [^\n]+", noise[-4096:].decode("utf-8", "replace"))
    return said[-1] if said else ""
