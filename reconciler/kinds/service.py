"""The kind `service`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from reconciler.kinds.paths import ABSOLUTE, LINE, NAME, unseen
from reconciler.model import (
    Action,
    CannotSee,
    Change,
    InTransit,
    Question,
    Ref,
    Resource,
    Seen,
    State,
    Step,
    Value,
    View,
    option,
    quote,
)
from reconciler.questions.apache import ApacheConfig, ApacheQuestion
from reconciler.questions.approved import NOT_APPROVED, ApprovedCommandQuestion, approve
from reconciler.questions.files import TextQuestion, TreeQuestion, tree_digest
from reconciler.questions.system import CommandQuestion, CommandResult, ListeningQuestion, UnitQuestion
from reconciler.subjects import Risk, Subject

UNIT = {"pattern": r"^[A-Za-z0-9:_.\\@-]+$", "x-want": "the name of a systemd unit"}
PATHS = {"items": {"type": "string", **ABSOLUTE}, "uniqueItems": True}
ON_CHANGE = {"enum": ["reload", "restart"]}
CHECK = (
    "The command that checks its configuration, and changes nothing. A look runs it only once an apply has."
)
APACHE_CHECK = "apache2ctl -t"
RECORDS = "/var/lib/reconciler/loaded"
CURRENT = "as on disk"
NEW_HERE = "not approved on this host yet"
STARTS_WITHIN = 30
"""Seconds within which a service listens after a start, unless its resource says otherwise."""


def starting(unit: Mapping[str, str], within: int) -> float:
    """How many more seconds a unit (an answer of `UnitQuestion`) may take to listen: none where it was
    started longer ago than `within`, is stopped, or is started by systemd again and again."""
    age, restarts = unit.get("Age", ""), unit.get("NRestarts", "0")
    if (
        unit.get("ActiveState") in ("inactive", "failed")
        or not age.isdecimal()
        or restarts not in ("0", "1", "[not set]")
    ):
        return 0
    return max(0, within - int(age))


def just_started(name: str, unit: Mapping[str, str], within: int) -> InTransit | None:
    """In place of what a unit does not do yet: it was started or reloaded, and may still come to it."""
    left = starting(unit, within)
    return InTransit(f"{name} was started or reloaded a moment ago", left) if left else None


def loading(unit: str, loads: tuple[str, ...]) -> dict[str, Question]:
    """What to ask to know whether a unit has loaded what is on disk (see `has_loaded`)."""
    return {"tree": TreeQuestion(loads), "record": TextQuestion(_record(unit))} if loads else {}


def has_loaded(answers: Mapping[str, Any]) -> str:
    """Whether a unit has loaded what is on disk, from the answers to `loading`; `CURRENT` where it has."""
    recorded = (answers["record"] or b"").decode("ascii", "replace").strip()
    if not recorded:
        return "not known: it was never reloaded by us"
    return CURRENT if recorded == answers["tree"] else "older than on disk"


def owes_reload(answers: Mapping[str, Any]) -> bool:
    """Whether a unit has yet to load what is on disk; never where `loading` had nothing to ask."""
    return "tree" in answers and has_loaded(answers) != CURRENT


def _record(unit: str) -> str:
    return f"{RECORDS}/{unit}"


LISTENERS = """ss -Hltnp | awk '{split($6, p, "\\""); print p[2] " on " $4}' | sort -u | paste -sd,"""
"""Prints who listens where, in one line."""


NO_HOST_KEY = "no hostkeys available"
"""What `sshd -t` says of any configuration where it may not read the host keys (sshd.c, main)."""


@dataclass(frozen=True, kw_only=True)
class Service(Resource):
    """A systemd unit: enabled, running, listening, its configuration valid, and the
    configuration on disk loaded. Declared absent, it is stopped and not started at boot.

    A reload is owed to state, not to an event. The sum of all that the unit loads is taken
    *before* a reload and recorded *after* it has succeeded, so a crash, a failed check or a
    change in between leaves the reload owed. The record is in /var/lib/reconciler/loaded.
    """

    kind: ClassVar[str] = "service"
    title: ClassVar[str] = "unit"
    subject: ClassVar[str] = Subject.SERVICES
    asides: ClassVar[str] = "configuration"
    """What a check says of a bad one may begin with the time, or have the number of its process."""

    unit: str = option("The systemd unit, such as `apache2`.", schema=UNIT)
    enabled: bool | None = option("Started at boot, or not.", default=None)
    running: bool | None = option("Running, or not.", default=True)
    ports: tuple[int, ...] = option(
        "TCP ports on which it listens.",
        default=(),
        schema={"items": {"type": "integer", "minimum": 1, "maximum": 65535}, "uniqueItems": True},
    )
    check: str | None = option(CHECK, default=None, schema=LINE)
    loads: tuple[str, ...] = option(
        "Files and folders that it loads; a change of any is loaded by a reload.",
        default=(),
        schema=PATHS,
    )
    on_change: str = option(
        "How it loads them: `reload`, or `restart` where it must.",
        default="reload",
        schema=ON_CHANGE,
    )

    starts_within: int = option(
        "Seconds within which it listens after a start or a reload.",
        default=STARTS_WITHIN,
        schema={"minimum": 1, "maximum": 600},
    )
    group: str | None = option(
        "A group that the running process must be in; a restart gives it.", default=None, schema=NAME
    )

    judged: Ref | None = None
    """What judges its configuration. As long as that is refused a service that runs keeps what it has
    loaded: a reload would load what undoes the rest, or end it (as an Apache ends that cannot bind what a
    new `Listen` says). One that is down is started all the same."""

    known_check: bool = False
    """Whether `check` is a command of this program's own, which needs no approval to be run by a look."""

    def _in_group(self) -> str:
        """Looks at the process, not at the account: it keeps the groups it was started with. A unit made of a
        script of init has no main one; there the first that it has started is looked at."""
        unit = quote(self.unit)
        return (
            f"g=$(getent group {quote(self.group or '')}); s=$?; [ $s -le 2 ] || exit $s;"
            ' g=${g#*:*:}; g=${g%%:*}; [ "$g" ] || exit 1;'
            f" p=$(systemctl show -p MainPID --value {unit}) || exit 3;"
            f' [ "$p" -gt 0 ] || c=$(systemctl show -p ControlGroup --value {unit}) || exit 3;'
            # The second place is that of the first version of control groups.
            ' [ "$p" -gt 0 ] || p=$(cat "/sys/fs/cgroup$c/cgroup.procs"'
            ' "/sys/fs/cgroup/systemd$c/cgroup.procs" 2>/dev/null | head -n 1);'
            ' [ "${p:-0}" -gt 0 ] || exit 1; { while read -r k v; do case $k in Gid: | Groups:) for v in $v;'
            ' do [ "$v" != "$g" ] || exit 0; done ;; esac; done; } <"/proc/$p/status" || exit 3; exit 1'
        )

    def _check(self, command: str) -> Question:
        if not self.known_check:
            return ApprovedCommandQuestion(command)
        # Apache reads and checks all of its configuration also where it is asked what is in it.
        return ApacheQuestion() if command == APACHE_CHECK else CommandQuestion(command)

    def ask(self) -> Mapping[str, Question]:
        questions: dict[str, Question] = {"unit": UnitQuestion(self.unit)}
        if self.ports:
            questions["ports"] = ListeningQuestion()
        if self.check and not self.absent:
            questions["check"] = self._check(self.check)
        if self.group:
            questions["group"] = CommandQuestion(self._in_group())
        return questions | loading(self.unit, self.loads)

    def read(self, answers: Mapping[str, Any], now: datetime) -> Seen:
        unit: Mapping[str, str] | CannotSee = answers["unit"]
        if isinstance(unit, CannotSee):
            return unit
        if unit.get("LoadState") == "not-found":
            return None  # neither is the program that would check its configuration
        if hidden := unseen(*answers.values()):
            return hidden
        running = unit.get("ActiveState") in ("active", "reloading")
        if (coming := self._coming(unit, running, answers)) is not None:
            return coming
        state = {**self._at_boot(unit), "running": running}
        state |= {f"port {port}": port in answers["ports"] for port in self.ports}
        if self.check and not self.absent:
            checked = self._checked(answers["check"])
            if isinstance(checked, CannotSee):
                return checked
            state |= checked
        if self.group:
            found = answers["group"]
            if found.status > 1:
                return CannotSee(
                    f"the groups of {self.unit} could not be read: {found.output or found.status}"
                )
            state[self._group()] = found.status == 0
        if self.loads:
            state["loaded"] = has_loaded(answers) if running else "nothing: it does not run"
        return state

    def _coming(self, unit: Mapping[str, str], running: bool, answers: Mapping[str, Any]) -> InTransit | None:
        """That it is starting. Where it has to load its configuration anew whatever becomes of that, as on a
        host that has just booted and is to serve for the first time, nobody waits for ports that it may not
        even be told to open."""
        left = starting(unit, self.starts_within)
        if not self.running or not left:
            return None
        if unit.get("ActiveState") in ("activating", "deactivating"):
            return InTransit("it is starting", left)
        closed = [port for port in self.ports if port not in answers["ports"]]
        if not (running and closed) or self._is_owed(answers):
            return None
        return InTransit("it is starting, and does not listen yet", left)

    def _is_owed(self, answers: Mapping[str, Any]) -> bool:
        """Whether a reload, or a restart, is owed to other things than its ports."""
        in_group = not self.group or answers["group"].status == 0
        return not in_group or owes_reload(answers)

    def _at_boot(self, unit: Mapping[str, str]) -> State:
        said = unit.get("UnitFileState", "")
        masked = {"masked": True} if said.startswith("masked") and not self.absent else {}
        return {"enabled": said.startswith(("enabled", "alias", "static", "generated")), **masked}

    def _checked(self, said: CommandResult | ApacheConfig | None) -> State | CannotSee:
        if said is None:
            return CannotSee("`apache2ctl` is missing, which checks its configuration")
        if isinstance(said, ApacheConfig):
            said = CommandResult(1 if said.refused else 0, said.refused)
        if NO_HOST_KEY in said.output:
            return CannotSee("its configuration could not be checked: only root can read the host keys")
        if said.status == NOT_APPROVED:
            return {"check": NEW_HERE}
        approved = {} if self.known_check else {"check": self._approved()}
        why = said.output or f"its check ended with {said.status} and no message"
        return {**approved, "configuration": "valid" if said.status == 0 else f"refused: {why}"}

    def _approved(self) -> str:
        return f"approved: {self.check}"

    def want(self, look: View) -> State | None:
        if self.absent:
            return None if look.own() is None else {"enabled": False, "running": False}
        want: dict[str, Value] = {}
        own = look.own()
        if isinstance(own, Mapping) and "masked" in own and (self.enabled or self.running):
            want["masked"] = False
        if self.enabled is not None:
            want["enabled"] = self.enabled
        if self.running is not None:
            want["running"] = self.running
        if self.running:
            want |= {f"port {port}": True for port in self.ports}
            if self.check and not self.known_check:
                want["check"] = self._approved()
            new_here = isinstance(own, Mapping) and own.get("check") == NEW_HERE
            if self.check and not new_here:
                want["configuration"] = "valid"
            if self.group:
                want[self._group()] = True
            if self.loads:
                want["loaded"] = CURRENT
        return want

    def with_pending(self, seen: State, pending: tuple[str, ...]) -> State:
        if not self.loads or not pending or seen.get("loaded") != CURRENT:
            return seen
        return {**seen, "loaded": f"older than on disk, once this is done: {', '.join(pending)}"}

    @classmethod
    def risks(cls, action: Action) -> Iterable[str]:
        commands = [step.command for step in action.steps]
        if any(command.startswith("systemctl restart ") for command in commands):
            yield Risk.RESTART
        if any(command.startswith("systemctl stop ") for command in commands):
            yield Risk.STOP

    def verb(self, change: Change) -> str:
        if self.absent:
            return "remove"
        only_loads = not change.creates and set(change.deltas) <= {"loaded", self._group()}
        return self._how(change) if only_loads else super().verb(change)

    def _group(self) -> str:
        return f"in group {self.group}"

    def _how(self, change: Change) -> str:
        return "restart" if self._group() in change.deltas else self.on_change

    def refuses(self, change: Change) -> str | None:
        if "masked" in change.deltas:
            return f"somebody has masked {self.unit}; if it shall run again: `systemctl unmask {self.unit}`"
        return None

    def lacks(self, others: Iterable[Action]) -> str | None:
        # Which units a package has is known once it is installed; a file may be one.
        if any(each.ref.kind == "package" or "/systemd/" in each.ref.name for each in others):
            return None
        return (
            f"there is no unit {self.unit}: install what brings it, or correct its name"
            " (`systemctl list-unit-files` says which there are)"
        )

    def steps(self, change: Change) -> Iterable[Step]:
        unit = quote(self.unit)
        if self.absent:
            yield Step(f"systemctl disable --now {unit}", "declared absent: stopped, not started at boot")
            yield Step(f"rm -f -- {quote(_record(self.unit))}", "forgets what it had loaded")
            return
        if "check" in change.deltas and self.check:
            yield from approve(self.check)
        enabled, running = change.deltas.get("enabled"), change.deltas.get("running")
        if enabled:
            yield Step(f"systemctl {'enable' if enabled.want else 'disable'} {unit}", "at boot")
        if running and not running.want:
            yield Step(f"systemctl stop {unit}", "it is declared stopped")
        elif set(change.deltas) - {"enabled", "check"}:
            yield from self._load("start" if running else self._how(change))

    def _load(self, how: str) -> Iterable[Step]:
        unit, record = quote(self.unit), quote(_record(self.unit))
        if self.check:
            yield Step(self.check, "checks the configuration first")
        if self.loads:
            yield Step(
                f"mkdir -p {RECORDS} && {tree_digest(self.loads)} >{record}.new",
                "takes the sum of what it is about to load",
            )
        yield Step(f"systemctl {how} {unit}", "loads it")
        for port in self.ports:
            yield Step(
                f"timeout {self.starts_within} sh -c"
                f" 'until ss -Hltn sport = :{port} | grep -q .; do sleep 0.2; done'"
                f' || {{ echo "nothing listens on port {port} after {self.starts_within} s, only:'
                f' $({LISTENERS})"; exit 1; }}',
                f"waits until it listens on port {port}",
                minutes=1 + self.starts_within // 60,
            )
        if self.loads:
            yield Step(f"sync {record}.new && mv {record}.new {record}", "records what it has loaded")

    def refers(self) -> Iterable[Ref]:
        return (self.judged,) if self.judged else ()

    def held_by(self, other: Ref, action: Action, pending: Action | None) -> bool:
        return other != self.judged or "running" not in {delta.field for delta in action.deltas}

    def provides(self) -> Iterable[str]:
        return (f"service:{self.unit}",)

    def watches(self) -> Iterable[str]:
        return self.loads
