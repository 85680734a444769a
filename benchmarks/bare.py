"""`python -m benchmarks.bare PORT IDENTITY KNOWN_HOSTS PARALLEL < ADDRESSES`: a paramiko exchange with each
address, and nothing else. It is the floor of what a look costs the controlling side: a login with the pinned
host key checked, `true`, and its end."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import paramiko


def main() -> None:
    """Raises what paramiko raises."""
    port, identity, known_hosts, parallel = sys.argv[1:]
    key = paramiko.PKey.from_path(identity)
    pinned = paramiko.HostKeys(known_hosts)
    addresses = sys.stdin.read().split()

    def exchange(address: str) -> None:
        client = paramiko.SSHClient()
        label = f"[{address}]:{port}"
        for name, host_key in (pinned.lookup(label) or {}).items():
            client.get_host_keys().add(label, name, host_key)
        client.connect(address, int(port), "root", pkey=key, allow_agent=False, look_for_keys=False)
        _, stdout, _ = client.exec_command("true")
        stdout.read()
        client.close()

    with ThreadPoolExecutor(int(parallel)) as pool:
        list(pool.map(exchange, addresses))
    print(f"{len(addresses)} exchanges")


if __name__ == "__main__":
    main()
