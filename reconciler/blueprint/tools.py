"""The commands that are called on hosts, each with the Debian package that has it: one list, for the plan
and for docs/operations.md. Those of `fleet.needed.NEEDED` are needed before anything can be asked."""

from __future__ import annotations

from collections.abc import Mapping

EVERYWHERE: Mapping[str, str] = {
    "awk": "mawk",
    "cmp": "diffutils",
    "curl": "curl",
    "flock": "util-linux",
    "getfacl": "acl",
    "grep": "grep",
    "hostname": "hostname",
    "install": "coreutils",
    "openssl": "openssl",
    "rsync": "rsync",
    "runuser": "util-linux",
    "setfacl": "acl",
    "setpriv": "util-linux",
    "ss": "iproute2",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "sudo": "sudo",
    "systemctl": "systemd",
    "useradd": "passwd",
}
"""On every host."""

ON_THE_PRIMARY: Mapping[str, str] = {"certbot": "certbot", "dig": "bind9-dnsutils"}
"""On the primary of a managed certificate, too."""
