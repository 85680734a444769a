"""What `--help`, the man page and the reference tell of each command; no command is loaded for it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from reconciler.cli.exit import MEANINGS, Code

COMMON = (Code.OK, Code.BUG, Code.USAGE, Code.LOCAL, Code.INTERRUPTED)
"""How every command may end."""
VARIABLES: Mapping[str, str] = MappingProxyType(
    {
        "RECONCILE_STATE": "The folder of the journal; by default ~/.local/state/reconcile.",
        "RECONCILE_FILES": (
            "Further folders, with colons between, below which files that a YAML file names may lie."
        ),
        "RECONCILE_SITE": (
            "The site of whose hosts this machine is the gateway: it reaches them itself, to look and to act."
        ),
        "RECONCILE_SIGNING_KEY": (
            "A key, or a public one whose private half is in the agent, to sign what a run leaves on hosts."
        ),
        "NO_COLOR": "No colours, whatever else is set.",
        "FORCE_COLOR": "Colours, also where the output is no terminal.",
        "TERM": "No colours and no pager where it is dumb.",
        "PAGER": "What a plan longer than the screen is shown in; less by default, cat for none.",
    }
)
"""The environment variables that count."""
COLOURS = ("NO_COLOR", "FORCE_COLOR", "TERM")
STATE, FILES, SITE = "RECONCILE_STATE", "RECONCILE_FILES", "RECONCILE_SITE"


@dataclass(frozen=True, kw_only=True)
class Description:
    """A command as `--help` tells it."""

    help: str
    examples: Mapping[str, str]
    """A command line, and what it is for."""
    ends: Mapping[Code, str] = field(default_factory=dict)
    """The exit codes beside those of all commands, or what one means here; "" is what it means anywhere."""
    variables: tuple[str, ...] = ()

    def codes(self) -> dict[Code, str]:
        """Every exit code of the command with its meaning; those of all commands in few words."""
        return {
            code: self.ends.get(code) or (brief(code) if code in COMMON else MEANINGS[code])
            for code in sorted({*COMMON, *self.ends})
        }


def brief(code: Code) -> str:
    """The first part of what a code means."""
    return re.split("[;:]", MEANINGS[code])[0]


INCOMPLETE = {Code.INCOMPLETE: "a host or a resource could not be looked at"}
LOOKS: Mapping[Code, str] = MappingProxyType({Code.OK: "all was looked at", **INCOMPLETE})

GROUPS: Mapping[str, Mapping[str, Description]] = MappingProxyType(
    {
        "Set up": {
            "init": Description(
                help="Write a new environment file; asks for what no flag gives.",
                examples={
                    "reconcile init": "Ask for everything, and offer what ssh's configuration and DNS say.",
                    "reconcile init --name stage --router cn.test.org": "Ask for the rest.",
                },
                ends={Code.OK: "the file is written"},
            ),
            "import": Description(
                help="Write the environment file that describes running hosts.",
                examples={
                    "reconcile import --host cn-1.test.org": "Describe one host.",
                    "reconcile import --host a.test.org -o stage.yaml": "Say where the file goes.",
                },
                ends={Code.OK: "the file is written", Code.INCOMPLETE: "a host could not be looked at"},
            ),
            "validate": Description(
                help="Check environment files; contacts no host.",
                examples={
                    "reconcile validate stage": "Check environments/stage.yaml.",
                    "reconcile validate --all": "Check all of them, as in CI.",
                },
                ends={Code.OK: "valid", Code.USAGE: "an invalid environment file, or a usage error"},
                variables=(FILES,),
            ),
            "fmt": Description(
                help="Bring environment files to today's form; comments stay.",
                examples={
                    "reconcile fmt stage": "Write environments/stage.yaml in today's form.",
                    "reconcile fmt --all --check": "Only say which files are not, as in CI.",
                },
                ends={Code.CHANGES: "--check found a file that is not in today's form"},
            ),
            "doctor": Description(
                help="Check what is needed here and on the hosts; say what mends it.",
                examples={
                    "reconcile doctor": "Check this machine and its journal.",
                    "reconcile doctor stage": "Check its file, keys, hosts, names and the CA too.",
                },
                ends={
                    Code.OK: "nothing is missing",
                    Code.CHANGES: "something is missing",
                    Code.INCOMPLETE: "something could not be checked",
                },
                variables=(STATE, FILES),
            ),
            "cron": Description(
                help="Print or install what runs it unattended: cron or systemd.",
                examples={
                    "reconcile cron stage": "Print a cron line that looks for drift.",
                    "reconcile cron stage --systemd --install": "Write systemd units, after asking.",
                },
                ends={Code.NOT_APPROVED: "--install was answered with no"},
                variables=(STATE,),
            ),
        },
        "Look": {
            "plan": Description(
                help="Show what apply would do; changes nothing.",
                examples={
                    "reconcile plan stage": "What differs on all hosts.",
                    "reconcile plan stage -o p.json": "Save it, to be approved and applied.",
                    "reconcile plan stage --host 'cn-*' --only service": "A part of it.",
                },
                ends={
                    Code.OK: "the plan is printed, even if changes are pending",
                    Code.CHANGES: "changes are pending, with --detailed-exitcode",
                    **INCOMPLETE,
                },
                variables=(STATE, FILES, SITE, "PAGER"),
            ),
            "drift": Description(
                help="Report drift; never changes a host.",
                examples={
                    "reconcile drift stage": "What has changed on the hosts since the last apply.",
                    "reconcile drift --all --junit drift.xml": "All environments, for a CI job.",
                },
                ends={Code.OK: "in sync", Code.CHANGES: "drift, or changes pending", **INCOMPLETE},
                variables=(STATE, FILES, SITE),
            ),
            "status": Description(
                help="Show what is known here of environments; contacts no host.",
                examples={
                    "reconcile status": "A table over every environment.",
                    "reconcile status stage --ics stage.ics": "Its renewals as a calendar.",
                },
                ends={
                    Code.OK: "all in sync",
                    Code.CHANGES: "drift, or changes pending",
                    Code.INCOMPLETE: "not known, or too long ago",
                },
                variables=(STATE, FILES),
            ),
            "forecast": Description(
                help="Show which dated rules will bite here, and when; contacts no host.",
                examples={
                    "reconcile forecast stage": "What a year will bring, and what to do.",
                    "reconcile forecast stage --at 2030-12-31": "Until that day.",
                },
                ends={
                    Code.OK: "nothing bites until then",
                    Code.CHANGES: "something does",
                    Code.INCOMPLETE: "of a rule it is not known: look first",
                },
                variables=(STATE, FILES),
            ),
            "verify": Description(
                help="Check as a client that services serve the right certificate.",
                examples={
                    "reconcile verify stage": "Every service under every name.",
                    "reconcile verify stage --host cn-2": "One host.",
                },
                ends={
                    Code.OK: "every service serves it",
                    Code.CHANGES: "a service does not serve it",
                    Code.INCOMPLETE: "a service did not answer",
                },
                variables=(FILES,),
            ),
            "report": Description(
                help="Write an HTML page about an environment, or one for each and one over all.",
                examples={
                    "reconcile report stage -o stage.html": "One page.",
                    "reconcile report --all -o site/": "A folder of pages, with an overview.",
                },
                ends=LOOKS,
                variables=(STATE, FILES, SITE),
            ),
            "observe": Description(
                help="Print or save what is observed on the hosts.",
                examples={
                    "reconcile observe stage -o seen.json": "Save it, to plan with --seen.",
                    "reconcile observe stage --only service": "Print a part of it.",
                },
                ends=LOOKS,
                variables=(FILES, SITE),
            ),
        },
        "Change": {
            "apply": Description(
                help="Bring the hosts to the declared state; or apply a saved plan.",
                examples={
                    "reconcile apply stage": "Show the plan, ask, and do it.",
                    "reconcile apply p.json": "Do what was saved and approved.",
                    "reconcile apply stage --auto": "Do what the policy allows, as cron does.",
                    "reconcile apply stage --replace certificate": "Order a new certificate now.",
                },
                ends={
                    Code.OK: "done, or nothing to do",
                    Code.CHANGES: "--auto left changes that need approval",
                    **INCOMPLETE,
                    Code.FAILED: "",
                    Code.PARTIAL: "",
                    Code.STALE: "",
                    Code.LOCKED: "",
                    Code.NOT_APPROVED: "",
                },
                variables=(STATE, FILES, SITE, "RECONCILE_SIGNING_KEY"),
            ),
            "rollback": Description(
                help="Plan what undoes a run, as far as it can be undone.",
                examples={
                    "reconcile rollback 12": "What would undo run 12.",
                    "reconcile rollback 12 --host cn-2": "Only what it did on one host.",
                    "reconcile rollback 12 -o undo.json": "Save it; apply undo.json does it.",
                },
                ends={Code.OK: "the plan is made; nothing is changed", **INCOMPLETE},
                variables=(STATE, FILES, SITE, "PAGER"),
            ),
            "worker": Description(
                help="Look and apply at a site for those who ask elsewhere.",
                examples={
                    "reconcile worker stage": "Take tasks for RECONCILE_SITE from the stream of `nats:`.",
                },
                ends={
                    Code.OK: "with --task: done",
                    **INCOMPLETE,
                    Code.FAILED: "",
                    Code.PARTIAL: "",
                    Code.STALE: "",
                    Code.LOCKED: "",
                    Code.NOT_APPROVED: "",
                },
                variables=(STATE, FILES, SITE, "RECONCILE_SIGNING_KEY"),
            ),
            "unlock": Description(
                help="Show who holds each host's lock; --break ends those processes.",
                examples={
                    "reconcile unlock stage": "Who holds it, and since when.",
                    "reconcile unlock stage --host cn-2 --break": "End what holds it there.",
                },
                ends={
                    Code.OK: "no host is locked",
                    Code.INCOMPLETE: "a host could not be looked at",
                    Code.LOCKED: "a host is locked",
                },
                variables=(FILES,),
            ),
        },
        "Approve": {
            "show": Description(
                help="Print a saved plan, even a stale one.",
                examples={
                    "reconcile show p.json": "As plan printed it.",
                    "reconcile show p.json --runbook": "Every command in order, to run by hand.",
                },
                variables=(FILES, "PAGER"),
            ),
            "approve": Description(
                help="Sign a saved plan with an SSH key, so that it may be applied.",
                examples={
                    "reconcile approve p.json": "Show it, and sign it.",
                    "reconcile approve p.json --key ~/.ssh/id_ed25519": "With this key.",
                },
                ends={Code.OK: "signed", Code.STALE: ""},
                variables=(STATE, FILES),
            ),
        },
        "Inspect": {
            "explain": Description(
                help="Explain one resource: its source, state and dependencies.",
                examples={
                    "reconcile explain stage cn-2 service apache2": "Named as a plan prints it.",
                    "reconcile explain stage file:/etc/motd --host cn-1": "Or as with --only.",
                },
                ends={Code.INCOMPLETE: "the resource could not be looked at"},
                variables=(FILES, SITE),
            ),
            "graph": Description(
                help="Print the order of resources as Mermaid or DOT; no host needed.",
                examples={
                    "reconcile graph stage --only certificate": "A part, as Mermaid.",
                    "reconcile graph stage --format dot": "All of it, for Graphviz.",
                },
                variables=(FILES,),
            ),
            "history": Description(
                help="Show past runs and alerts, of this machine and as hosts tell of others'.",
                examples={
                    "reconcile history --env stage -n 5": "The newest five runs of one.",
                    "reconcile history --host cn-2": "The runs that acted there.",
                    "reconcile history 12": "Every action of run 12.",
                    "reconcile history x3f2a9c1b04d2": "A run of another machine.",
                },
                ends={Code.CHANGES: "--verify found that the journal was changed"},
                variables=(STATE,),
            ),
        },
    }
)
"""Every command below its heading, in the order of `--help`."""
ENTRIES: Mapping[str, Description] = MappingProxyType(
    {name: each for group in GROUPS.values() for name, each in group.items()}
)
