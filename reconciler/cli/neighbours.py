"""What people type who come from ansible, terraform, kubectl, ssh and make, and what it is called here.

Only what this program does not have itself is answered: `--timeout` or `-o` mean what they mean here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import pairwise
from types import MappingProxyType
from typing import Any

HOST = "`--host` names hosts: a name, a short name, a pattern or `!NAME`."
ONLY = "`--only` names resources: KIND, KIND:NAME or HOST KIND NAME, also as patterns."
NOT_THESE = "`--only '!KIND:NAME'` leaves resources out."
PLAN = "`reconcile plan` shows what would change, and changes nothing."
YES = "`reconcile apply --yes` does not ask; `reconcile apply --auto` does what the policy allows."
ENV = "The environment is the argument, with its hosts in it: `reconcile plan ENV`, a NAME or a path."
VALUES = "Values stand in the environment file; `reconcile validate` checks them."
STATE = "There is no state file: the hosts are the state, and `reconcile history` shows the journal."
FORMATS = ("json", "yaml", "wide", "name")
"""What kubectl's `-o` takes; here it names a file, which would be called so."""
LOGIN = "`ssh:` of the environment file says who logs in, with what; `reconcile init --user` writes it."
SUDO = "sudo is used where it asks for no password; `reconcile doctor` says what a host lacks for it."
PARALLEL = "`--parallel` is how many hosts at a time."
DRIFT = "`reconcile drift` compares the hosts with the file, and changes nothing."
REPLACE = "`--replace certificate` orders a new one even if nothing is wrong."

FLAGS: Mapping[str, str] = MappingProxyType(
    {
        "--limit": HOST,
        "-l": HOST,
        "--hosts": HOST,
        "--target": ONLY,
        "-target": ONLY,
        "--tags": ONLY,
        "-t": ONLY,
        "--selector": ONLY,
        "--exclude": NOT_THESE,
        "-exclude": NOT_THESE,
        "--skip-tags": NOT_THESE,
        "--check": PLAN,
        "-C": PLAN,
        "--diff": PLAN,
        "-D": PLAN,
        "--dry-run": PLAN,
        "--dryrun": PLAN,
        "--just-print": PLAN,
        "--noop": PLAN,
        "--auto-approve": YES,
        "-auto-approve": YES,
        "--assume-yes": YES,
        "--force": YES,
        "-i": ENV,
        "--inventory": ENV,
        "-f": ENV,
        "--file": ENV,
        "--filename": ENV,
        "--kubeconfig": ENV,
        "--context": ENV,
        "-n": "A dry run is `reconcile plan`; and there are no namespaces: ENV is the argument.",
        "--namespace": ENV,
        "--chdir": ENV,
        "-chdir": ENV,
        "--var": VALUES,
        "-var": VALUES,
        "--var-file": VALUES,
        "-var-file": VALUES,
        "-e": VALUES,
        "--extra-vars": VALUES,
        "--private-key": "`ssh: identity` of the environment file; `reconcile init --identity` writes it.",
        "-F": "`ssh:` of the environment file says how hosts are reached; `reconcile init` writes it.",
        "-J": "`ssh: jump` of the environment file; `reconcile init --jump` writes it.",
        "--forks": PARALLEL,
        "-j": PARALLEL,
        "--jobs": PARALLEL,
        "--parallelism": PARALLEL,
        "-parallelism": PARALLEL,
        "--syntax-check": "`reconcile validate` checks the file, and contacts no host.",
        "--list-hosts": "`reconcile graph` prints the hosts and their resources, and contacts no host.",
        "--list-tasks": "`reconcile graph` prints all resources in order, and contacts no host.",
        "--out": "`reconcile plan -o` saves the plan to a file.",
        "-out": "`reconcile plan -o` saves the plan to a file.",
        "-json": "`--json` has two dashes.",
        "-no-color": "`--no-color` has two dashes.",
        "-detailed-exitcode": "`reconcile plan --detailed-exitcode` has two dashes.",
        "--silent": "`--quiet` prints only what is wrong or asked for.",
        "-s": "`--quiet` prints only what is wrong or asked for.",
        "-replace": REPLACE,
        "-B": REPLACE,
        "--always-make": REPLACE,
        "-refresh-only": DRIFT,
        "--refresh-only": DRIFT,
        "--state": STATE,
        "-state": STATE,
        "-backup": STATE,
        "-u": LOGIN,
        "--remote-user": LOGIN,
        "--key-file": LOGIN,
        "-b": SUDO,
        "--become": SUDO,
        "-K": SUDO,
        "--ask-become-pass": SUDO,
        "--start-at-task": ONLY,
        "--show-labels": "`reconcile explain` says all that is known of a resource.",
        "--all-namespaces": "`--all` names every environment.",
        "-A": "`--all` names every environment.",
        "--recursive": "`--all` names every environment.",
        "--prune": "What is not declared stays; declare it absent, and `reconcile plan` removes it.",
        "-upgrade": "`reconcile fmt` brings environment files to today's form.",
        "--watch": "`reconcile cron` prints what runs it again and again.",
        "-w": "`reconcile cron` prints what runs it again and again.",
        "-lock": "A lock is never left out: `reconcile unlock` says who holds it.",
        "--lock": "A lock is never left out: `reconcile unlock` says who holds it.",
    }
)
"""The flags of others, each with a sentence that names ours."""

COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "diff": PLAN,
        "check": PLAN,
        "preview": PLAN,
        "dry-run": PLAN,
        "run": "`reconcile apply` brings the hosts to the declared state.",
        "up": "`reconcile apply` brings the hosts to the declared state.",
        "deploy": "`reconcile apply` brings the hosts to the declared state.",
        "install": "`reconcile apply` brings the hosts to the declared state.",
        "sync": "`reconcile apply` brings the hosts to the declared state.",
        "playbook": "`reconcile apply` brings the hosts to the declared state.",
        "destroy": "Declare it absent, and `reconcile apply`; `reconcile rollback` plans what undoes a run.",
        "delete": "Declare it absent, and `reconcile apply`; `reconcile rollback` plans what undoes a run.",
        "undo": "`reconcile rollback` plans what undoes a run.",
        "revert": "`reconcile rollback` plans what undoes a run.",
        "state": "`reconcile observe` prints what is on the hosts.",
        "get": "`reconcile observe` prints what is on the hosts.",
        "facts": "`reconcile observe` prints what is on the hosts.",
        "setup": "`reconcile observe` prints what is on the hosts.",
        "refresh": DRIFT,
        "describe": "`reconcile explain` says why one resource is as it is.",
        "why": "`reconcile explain` says why one resource is as it is.",
        "lint": "`reconcile validate` checks environment files.",
        "taint": REPLACE,
        "renew": REPLACE,
        "force-unlock": "`reconcile unlock --break` ends the processes that hold a lock.",
        "log": "`reconcile history` shows past runs.",
        "logs": "`reconcile history` shows past runs.",
        "ls": "`reconcile status` shows all environments.",
        "list": "`reconcile status` shows all environments.",
        "top": "`reconcile status` shows all environments.",
        "workspace": "`reconcile status` shows all environments.",
        "new": "`reconcile init` writes a new environment file.",
        "version": "`reconcile --version` prints it.",
        "help": "`reconcile --help` lists the commands, `reconcile plan --help` the flags of one.",
        "completion": "`reconcile --install-completion` installs it.",
        "test": "`reconcile verify` checks what the services serve.",
        "ping": "`reconcile observe` looks at every host, and says which does not answer.",
    }
)
"""The commands of others, each with a sentence that names ours."""


def refuse_flags(context: Any, arguments: Iterable[str], known: Iterable[str]) -> None:
    """Ends with a usage error at the first flag that is a neighbour's and none of the command's.

    Before they are parsed: `-out=x` would be taken for `-o ut=x`, and `-target` for `-t`.
    """
    if context.resilient_parsing:  # completion
        return
    known, arguments = set(known), list(arguments)
    for flag, value in pairwise(arguments):
        if flag in ("-o", "--output") and flag in known and value in FORMATS:
            context.fail(
                f"{flag} {value}: names a file; `--json` prints JSON, `{flag} ./{value}` is that file."
            )
    for argument in arguments:
        name = argument.partition("=")[0]
        if argument == "--":
            return
        if name in FLAGS and name not in known:
            context.fail(f"No such option: {name}. {FLAGS[name]}{_elsewhere(context, FLAGS[name], known)}")


def _elsewhere(context: Any, answer: str, known: set[str]) -> str:
    """Says so where the flag that an answer names is one of other commands only."""
    ours = re.match(r"`(--[a-z-]+)", answer)
    if context.parent is None or ours is None or ours[1] in known:
        return ""
    return f" `{context.command_path}` takes no `{ours[1]}`."


def refuse_command(context: Any, name: str) -> None:
    """Ends with a usage error where a command is a neighbour's."""
    if name in COMMANDS and not context.resilient_parsing:
        context.fail(f"No such command '{name}'. {COMMANDS[name]}")
