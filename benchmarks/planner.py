"""What a plan of many resources costs: seconds of CPU of one core, and memory. No host is needed.

`python -m benchmarks.planner files HOSTS` plans HOSTS × 60 settled resources, `… nodes HOSTS` the whole
blueprint of HOSTS settled nodes; each in a process of its own, so that the peak of its memory is the plan's.
"""

from __future__ import annotations

import gc
import json
import math
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import BenchError, last_line, say
from reconciler.blueprint import resources as blueprint_resources
from reconciler.environment.services import Services, TomcatTls
from reconciler.environment.settings import Environment, Host
from reconciler.kinds.directory import Directory
from reconciler.kinds.file import File
from reconciler.model import Ref, Resource, Seen, Value
from reconciler.plan.planner import plan

EACH = 60
"""Resources of a host."""

SIZES = {"files": (1_000, 10_000), "nodes": (500, 1_000)}
"""How many hosts: the second is what is told, both together say how it grows."""

RELEASE = "9f3c5a7d1e2b4c60" * 2


@dataclass(frozen=True)
class AsDesired:
    """What a resource is told of others while everything is as desired."""

    ref: Ref

    def own(self) -> Seen:
        return None

    def is_unreachable(self, host: str) -> bool:
        return False

    def value(self, ref: Ref, name: str) -> Value:
        return RELEASE if name == "release" else public_key(ref)


def public_key(ref: Ref) -> str:
    """The key that a host is taken to have."""
    return f"ssh-ed25519 {ref.host}"


def files(hosts: int) -> Iterable[Resource]:
    """Ten folders a host, with five files each."""
    for number in range(hosts):
        host = f"host{number}.example.org"
        for each in range(EACH):
            folder = f"/srv/folder{each // 6}"
            if each % 6 == 0:
                yield Directory(host=host, path=folder, mode="0755", owner="root", group="root")
            else:
                yield File(
                    host=host, path=f"{folder}/file{each}", content=f"{each}\n", mode="0644", owner="root"
                )


def nodes(hosts: int) -> Iterable[Resource]:
    """The blueprint's resources for so many nodes."""
    return blueprint_resources(
        Environment(
            name="benchmark",
            router="cn.example.org",
            hosts=tuple(Host(name=f"host{each}.example.org", primary=each == 0) for each in range(hosts)),
            services=Services(postgresql="15", tomcat="10", tomcat_tls=TomcatTls()),
        )
    )


def as_desired(resource: Resource) -> Seen:
    """The state of a resource that is as desired."""
    want = resource.want(AsDesired(resource.ref))
    if not isinstance(want, Mapping):
        return want
    if resource.kind in ("keypair", "host_key", "delivery_key"):
        return {**want, "public": public_key(resource.ref)}
    return {**want, "release": RELEASE} if resource.kind == "certificate" else dict(want)


def measure(resources: Iterable[Resource]) -> dict[str, float]:
    """Plans once: how many resources and actions, seconds of CPU, and MB at the most, in all and before."""
    before = _peak()
    declared = list(resources)
    seen = {each.ref: as_desired(each) for each in declared}
    began = time.process_time()
    made = plan("benchmark", declared, seen, {})
    seconds = time.process_time() - began
    return {
        "resources": made.resources,
        "actions": len(made.actions),
        "seconds": round(seconds, 2),
        "mb": round(_peak(), 1),
        "mb_before": round(before, 1),
    }


def _peak() -> float:
    """MB of memory at the most so far (proc(5), VmHWM)."""
    status = Path("/proc/self/status").read_text("ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def measured() -> dict[str, object]:
    """The document's part. Raises `BenchError`."""
    found: dict[str, dict[str, float]] = {}
    for what, sizes in SIZES.items():
        say(f"planner: {what} on {' and '.join(f'{each:,}' for each in sizes)} hosts")
        few, many = (_in_a_process(what, hosts) for hosts in sizes)
        found[what] = {**many, "exponent": exponent(few, many)}
    return {**found["files"], "nodes": found["nodes"]}


def exponent(few: Mapping[str, float], many: Mapping[str, float]) -> float:
    """By which power of the resources time grows, or memory where that grows faster; 1 is in proportion."""
    factor = math.log(many["resources"] / few["resources"])
    used = [each["mb"] - each["mb_before"] for each in (few, many)]
    growth = max(many["seconds"] / few["seconds"], used[1] / used[0])
    return round(math.log(growth) / factor, 3)


def _in_a_process(what: str, hosts: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.planner", what, str(hosts)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchError(f"planner: {what} on {hosts} hosts: {last_line(done.stderr)}")
    document: dict[str, float] = json.loads(done.stdout)
    return document


if __name__ == "__main__":
    if sys.argv[1:]:
        gc.set_threshold(100_000)  # as the program does at its start
        made = {"files": files, "nodes": nodes}[sys.argv[1]](int(sys.argv[2]))
        print(json.dumps(measure(made)))
    else:
        print(json.dumps(measured(), indent=2))
