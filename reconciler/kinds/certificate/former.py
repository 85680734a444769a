"""The kind `former`: what earlier versions kept below the sync account's home."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from reconciler.kinds.certificate.pair import NAMES
from reconciler.model import CannotSee, Change, Question, Resource, Seen, State, Step, View, quote
from reconciler.questions.system import CommandQuestion, CommandResult
from reconciler.subjects import Subject

LINES = (".ssh/authorized_keys", ".ssh/known_hosts")
KEY = ".ssh/id_ed25519"
WRAPPER = "bin/rsync-wrapper.sh"
DELIVERED = "incoming/privkey.pem"
"""A key that was delivered in the clear."""
HOOK = "{}/manual-[a-z]*-hook[.]sh"
LEFT = "left over"
OURS = " reconciler [^ ]* [^ ]*$"
"""The pattern of a line of ours (grep(1), basic), whatever the environment is called: sshd reads none of them
here any more."""

LOOK = (
    'cd "$1" || exit 0; has() { [ -f "$1" ] && grep -q "$2" "$1" && echo "${3:-$1}"; };'
    ' has .ssh/authorized_keys "$2"; has .ssh/known_hosts "$2"; has .ssh/id_ed25519.pub "$2" .ssh/id_ed25519;'
    ' has bin/rsync-wrapper.sh "^$3";'
    " [ ! -e incoming/privkey.pem ] || echo incoming/privkey.pem"
)
"""Run as the account: the folder, the pattern of our lines, how the wrapper began."""


@dataclass(frozen=True, kw_only=True)
class Former(Resource):
    """What earlier versions kept in folders of the sync account: there root acted on paths that the
    account could turn elsewhere. Only what is ours goes; folders go where nothing else is in them.

    The account itself looks and removes. What lies in root's own folder `bin` root removes, from within
    that folder, so that no link can lead it into another.
    """

    kind: ClassVar[str] = "former"
    title: ClassVar[str] = "home"
    subject: ClassVar[str] = Subject.ACCOUNTS
    declarable: ClassVar[bool] = False
    reversible: ClassVar[bool] = False

    home: str
    account: str
    mark: str
    """How the wrapper began."""
    hooks: str
    """Where certbot's hooks lie."""

    def _run(self, *words: str) -> str:
        return " ".join(["runuser", "-u", quote(self.account), "--", *map(quote, words)])

    def ask(self) -> Mapping[str, Question]:
        words = ("sh", "-c", LOOK, "sh", self.home, OURS, self.mark)
        return {"left": CommandQuestion(self._run(*words))}

    def read(self, answers: Mapping[str, Any], now: datetime) -> Seen:
        result: CommandResult | CannotSee = answers["left"]
        if isinstance(result, CannotSee):
            return result
        if result.needs_root:
            return CannotSee("only root can look as another account")
        if result.status != 0:
            gone = "does not exist" in result.output
            return None if gone else CannotSee(f"it could not be looked at: {result.output or result.status}")
        known = (*LINES, KEY, WRAPPER, DELIVERED)
        return {path: LEFT for path in known if path in result.output.splitlines()} or None

    def want(self, look: View) -> State | None:
        return None

    def steps(self, change: Change) -> Iterable[Step]:
        # It may take minutes, so it has a round of its own: whether all else goes the new way was looked at.
        yield Step(
            f"for f in $(grep -lsazx -- {quote(HOOK.format(self.hooks))} /proc/[0-9]*/cmdline);"
            ' do p=${f#/proc/}; timeout 60 tail -f --pid="${p%/*}" /dev/null || :; done',
            "lets a hook of certbot's that began with what goes come to its end",
            minutes=3,
        )
        for path in LINES:
            if path in change.deltas:
                file = f"{self.home}/{path}"
                yield Step(
                    f"{self._run('sed', '-i', f'/{OURS}/d', file)}"
                    f" && {self._run('find', file, '-empty', '-delete')}",
                    "ours, and not read any more; other lines stay",
                )
        if KEY in change.deltas:
            path = f"{self.home}/{KEY}"
            yield Step(self._run("rm", "-f", "--", path, f"{path}.pub"), "it was taken over")
        if WRAPPER in change.deltas:
            folder, _, name = WRAPPER.partition("/")
            yield Step(
                f'(h=$(cd -P -- {quote(self.home)} && pwd -P) && cd -P -- "$h/{folder}"'
                f' && [ "$(pwd -P)" = "$h/{folder}" ] && rm -f -- {name})',
                "no key runs it any more; from within its folder, so that no link leads elsewhere",
            )
        if DELIVERED in change.deltas:
            files = [f"{self.home}/incoming/{name}.pem" for name in NAMES]
            yield Step(self._run("rm", "-f", "--", *files), "deliveries are encrypted now")
        folders = [f"{self.home}/{path}" for path in ("bin", ".ssh", "incoming")]
        yield Step(
            f"{self._run('find', *folders, '-maxdepth', '0', '-empty', '-delete')} 2>/dev/null || :",
            "and the folders, where nothing else is in them",
        )

    def requires(self) -> Iterable[str]:
        return (f"account:{self.account}",)
