"""`python3 -m lab`: start a fleet, look at it, run something in it, end it."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from lab.commands import LabError, say
from lab.fleet import Fleet, each
from lab.host import LabHost
from lab.image import purge
from lab.machine import require_root
from lab.store import fleet_names, store


def main() -> int:
    """Do what the command line says; the exit code."""
    arguments = _parser().parse_args()
    try:
        require_root()
        code = int(arguments.action(arguments))
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # who reads our output has had enough, as `| head -1` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141  # what a shell says of a program that SIGPIPE has ended
    except LabError as problem:
        say(str(problem))
        return 1
    except KeyboardInterrupt:
        say("interrupted")
        return 130


def up(arguments: argparse.Namespace) -> int:
    """Start a fleet and print what it is."""
    fleet = Fleet.up(arguments.name, arguments.hosts, arguments.dir)
    if arguments.losing:
        each(fleet.hosts, LabHost.make_losing)
    _show(fleet)
    return 0


def cut(arguments: argparse.Namespace) -> int:
    """Cut a host's power, so that it loses what was not synced, and switch it on again."""
    host = Fleet.open(arguments.name, arguments.dir).host(arguments.host)
    host.cut()
    host.boot()
    say(f"{host.name} is up again, without what was not synced")
    return 0


def down(arguments: argparse.Namespace) -> int:
    """End a fleet, or what is left of one."""
    there = Fleet.clear(arguments.name, arguments.dir)
    say(f"fleet {arguments.name} is gone" if there else f"there is no fleet {arguments.name}")
    if arguments.purge:
        root = store(arguments.dir)
        others = fleet_names(root)
        if others:
            raise LabError(f"base image kept, in use by {', '.join(others)}")
        purge(root)
        say("base image removed")
    return 0


def status(arguments: argparse.Namespace) -> int:
    """Print every fleet of the store."""
    names = Fleet.names(arguments.dir)
    for name in names:
        try:
            _show(Fleet.open(name, arguments.dir))
        except LabError:
            print(f"fleet {name}: unfinished; `lab down --name {name}` removes it")
    if not names:
        print("no fleet")
    return 0


def execute(arguments: argparse.Namespace) -> int:
    """Become a command inside a host."""
    host = Fleet.open(arguments.name, arguments.dir).host(arguments.host)
    terminal = f"TERM={os.environ.get('TERM', 'dumb')}"
    inside = host.enter(["env", terminal, *(arguments.command or ["bash", "-l"])])
    os.execvp(inside[0], inside)


def _show(fleet: Fleet) -> None:
    print(f"fleet {fleet.name}: {len(fleet.hosts)} hosts, router {fleet.router}")
    for host in fleet.hosts:
        print(f"  {host.address:<13} {host.name}  {host.state()}")
    login = f"ssh -i {fleet.identity} -o UserKnownHostsFile={fleet.known_hosts}"
    print(f"  log in: {login} ops@{fleet.hosts[0].address}")
    print(fleet.environment)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lab", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--name", default="lab", help="the fleet's name (default: lab)")
    shared.add_argument("--dir", type=Path, help="where images and fleets are kept (default: $RECONCILE_LAB)")
    start = commands.add_parser("up", parents=[shared], help="start a fleet")
    start.add_argument("-n", dest="hosts", type=int, default=3, help="how many hosts (default: 3)")
    start.add_argument(
        "--losing", action="store_true", help="disks that lose, in a `cut`, what was not synced"
    )
    start.set_defaults(action=up)
    end = commands.add_parser("down", parents=[shared], help="end a fleet, leave no trace")
    end.add_argument("--purge", action="store_true", help="remove the base image too")
    end.set_defaults(action=down)
    look = commands.add_parser("status", parents=[shared], help="say what runs")
    look.set_defaults(action=status)
    power = commands.add_parser("cut", parents=[shared], help="cut a host's power, and switch it on again")
    power.add_argument("host", help="number, short or full name")
    power.set_defaults(action=cut)
    inside = commands.add_parser("exec", parents=[shared], help="run a command in a host as root")
    inside.add_argument("host", help="number, short or full name")
    inside.add_argument("command", nargs=argparse.REMAINDER, help="default: a shell")
    inside.set_defaults(action=execute)
    return parser


if __name__ == "__main__":
    sys.exit(main())
