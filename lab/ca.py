"""The certificate authority beside a fleet: Pebble, and the DNS it asks."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.commands import LabError, attempt, command, last_line
from lab.container import BOOT
from lab.network import Network
from lab.processes import recorded

NAME: Final = "acme"
DAYS_90: Final = 90 * 86400
PORT: Final = 14000
OTHER: Final = "other"
OTHER_PORT: Final = 14001
"""Where another CA answers, with an issuing root of its own; see `Authority.start_other`."""


@dataclass(frozen=True)
class Authority:
    """Pebble and its DNS on the bridge of a fleet, found again from the fleet's folder.

    The issuing root is a new one at every start; `roots` keeps all that were ever seen.
    """

    folder: Path
    network: Network

    @property
    def address(self) -> str:
        """Where the hosts find it, and the DNS."""
        return f"10.77.{self.network.number}.1"

    @property
    def refusing(self) -> str:
        """Where a CA answers that takes no order; see `Fleet.refuse`."""
        return f"10.77.{self.network.number}.3"

    @property
    def directory(self) -> str:
        """Its ACME directory."""
        return f"https://{NAME}:{PORT}/dir"

    @property
    def roots(self) -> Path:
        """The issuing roots, as PEM."""
        return self.folder.parent / "roots.pem"

    @property
    def other_directory(self) -> str:
        """The ACME directory of the other CA."""
        return f"https://{NAME}:{OTHER_PORT}/dir"

    @property
    def other_roots(self) -> Path:
        """The issuing roots of the other CA, as PEM."""
        return self.roots.with_name("other-roots.pem")

    @property
    def certificate(self) -> Path:
        """What its API identifies itself with: whoever shall trust it has this."""
        return self.folder / "api.pem"

    def create(self) -> None:
        """Make its folder and the certificate of its API."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        self.roots.touch()
        command(
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-keyout", str(self.folder / "api.key"), "-out", str(self.certificate), "-days", "3650"),
            *("-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME},IP:{self.address}"),
        )

    def start(self, validity: int = DAYS_90) -> None:
        """Start the DNS and Pebble, unless they run; certificates live `validity` seconds."""
        self.start_dns()
        self._start_pebble("pebble", PORT, self.roots, validity)

    def start_other(self, program: Path | str = "pebble", profiles: Mapping[str, int] | None = None) -> None:
        """Start another CA, unless it runs: it asks the same DNS, and has another root. With `profiles`, that
        a newer `program` has (`lab.newer`), certificates live as many seconds as theirs says."""
        self.start_dns()
        self.other_roots.touch()
        self._start_pebble(OTHER, OTHER_PORT, self.other_roots, DAYS_90, str(program), profiles)

    def _start_pebble(
        self,
        name: str,
        port: int,
        roots: Path,
        validity: int,
        program: str = "pebble",
        profiles: Mapping[str, int] | None = None,
    ) -> None:
        if self._runs(name):
            return
        periods = {
            profile: {"description": profile, "validityPeriod": seconds}
            for profile, seconds in (profiles or {}).items()
        }
        config = {
            "pebble": {
                "listenAddress": f"{self.address}:{port}",
                "managementListenAddress": f"{self.address}:{port + 1000}",
                "certificate": str(self.certificate),
                "privateKey": str(self.folder / "api.key"),
                "httpPort": 80,
                "tlsPort": 443,
                "ocspResponderURL": "",
                "externalAccountBindingRequired": False,
                **({"profiles": periods} if periods else {"certificateValidityPeriod": validity}),
            }
        }
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps(config), encoding="utf-8")
        settings = ("PEBBLE_VA_NOSLEEP=1", "PEBBLE_AUTHZREUSE=0", "PEBBLE_WFE_NONCEREJECT=0")
        dns = f"{self.address}:53"
        self._spawn(name, ["env", *settings, program, "-config", str(path), "-dnsserver", dns])
        self._learn_root(name, port, roots)

    def stop(self) -> None:
        """End Pebble; the DNS goes on."""
        self._end("pebble")

    @property
    def other_by_address(self) -> str:
        """The directory of the other CA for hosts that do not find the first one's name."""
        return f"https://{self.address}:{OTHER_PORT}/dir"

    def restart(self, validity: int = DAYS_90) -> None:
        """A new Pebble: another root, and no memory of accounts."""
        self.stop()
        self.start(validity)

    def remove(self) -> None:
        """End all of it."""
        for name in ("pebble", OTHER, "dns", "refusing"):
            self._end(name)

    def set_name(self, name: str, *addresses: str) -> None:
        """What the DNS answers for a name: these IPv4 addresses, or none."""
        self._dns("clear-a", {"host": f"{name}."})
        if addresses:
            self._dns("add-a", {"host": f"{name}.", "addresses": list(addresses)})

    def set_caa(self, domain: str, *values: str) -> None:
        """What CAA set the DNS has for a domain: an `issue` property for each value, or none at all."""
        self._dns("clear-caa", {"host": f"{domain}."})
        if values:
            policies = [{"tag": "issue", "value": value} for value in values]
            self._dns("add-caa", {"host": f"{domain}.", "policies": policies})

    def forget(self, name: str) -> None:
        """Let the DNS know no address of a name."""
        self.set_name(name)

    def start_refusing(self) -> None:
        """Start a CA that is at its limit, unless it runs: it takes no order."""
        if self._runs("refusing"):
            return
        attempt("ip", "address", "add", f"{self.refusing}/32", "dev", self.network.bridge)
        script = Path(__file__).with_name("refusing.py")
        files = (str(self.certificate), str(self.folder / "api.key"))
        self._spawn("refusing", [sys.executable, str(script), self.refusing, str(PORT), *files])
        self._await(f"https://{self.refusing}:{PORT}/dir", "refusing")

    def stop_refusing(self) -> None:
        """End it."""
        self._end("refusing")

    def start_dns(self) -> None:
        """Start the DNS, if it does not run."""
        if self._runs("dns"):
            return
        nothing = ("-defaultIPv4", "-defaultIPv6", "-http01", "-https01", "-tlsalpn01")
        listen = ["-dns01", f"{self.address}:53", "-management", f"{self.address}:8055"]
        without = [part for flag in nothing for part in (flag, "")]
        self._spawn("dns", ["pebble-challtestsrv", *without, *listen])
        self._await(f"http://{self.address}:8055/", "dns")

    def _learn_root(self, name: str, port: int, roots: Path) -> None:
        root = self._await(f"https://{self.address}:{port + 1000}/roots/0", name)
        if root not in roots.read_text(encoding="ascii"):
            new = roots.with_name(f"{roots.stem}.new")
            new.write_text(roots.read_text(encoding="ascii") + root, encoding="ascii")
            new.replace(roots)

    def _await(self, url: str, name: str) -> str:
        deadline = time.monotonic() + 15
        while True:
            done = attempt("curl", "-sSk", "--max-time", "2", url)
            if done.returncode == 0:
                return done.stdout
            if time.monotonic() > deadline or not self._runs(name):
                log = (self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")
                raise LabError(f"{name} of the CA did not start: {last_line(log) or done.stderr.strip()}")
            time.sleep(0.05)

    def _dns(self, what: str, body: dict[str, object]) -> None:
        url = f"http://{self.address}:8055/{what}"
        command("curl", "-fsS", "--max-time", "5", "-d", json.dumps(body), url)

    def _spawn(self, name: str, arguments: Sequence[str]) -> None:
        record = self.folder / name
        record.unlink(missing_ok=True)
        with (self.folder / f"{name}.log").open("wb") as log:
            subprocess.run(
                ["setsid", "--fork", "sh", "-c", BOOT, "sh", str(record), "--", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                check=True,
            )
        deadline = time.monotonic() + 10
        while recorded(record) is None and time.monotonic() < deadline:
            time.sleep(0.01)

    def _runs(self, name: str) -> bool:
        process = recorded(self.folder / name)
        return process is not None and process.alive()

    def _end(self, name: str) -> None:
        process = recorded(self.folder / name)
        if process is not None and process.send(signal.SIGKILL):
            process.wait(5)
        (self.folder / name).unlink(missing_ok=True)
