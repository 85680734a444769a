"""The question whether sshd lets an account in by key, and whether it could become root."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.model import CannotSee, quote
from reconciler.questions.files import IS_ROOT, NO_ANSWER, each_record

KEYWORDS = (
    "AllowUsers|DenyUsers|AllowGroups|DenyGroups|PubkeyAuthentication|AuthorizedKeysFile|AuthenticationMethods"
    "|StrictModes|UsePAM|ForceCommand|ChrootDirectory|PubkeyAcceptedAlgorithms"
)


@dataclass(frozen=True)
class Access:
    """What decides whether an account gets in.

    settings  sshd's effective settings for it, by keyword in lower case; several values where there are
              several lines, or where peers are treated differently; `error` has what sshd refuses
    lines     where the configuration sets one: `FILE:LINE:TEXT`
    shadow    the fields of shadow(5) after the name; the hash cut down to its first character
    groups    the groups it is in
    shell     whether its shell can be executed
    nologin   the files of pam_nologin(8) that are there
    paths     mode, owner and path of what StrictModes looks at
    rules     lines of /etc/hosts.deny and of pam_access(8) that are in force
    sudo      what sudo says that it may do, the last line last
    days      how many days have passed since 1970 by the host's clock
    """

    settings: Mapping[str, tuple[str, ...]]
    lines: tuple[str, ...]
    shadow: tuple[str, ...]
    groups: tuple[str, ...]
    shell: bool
    nologin: tuple[str, ...]
    paths: tuple[tuple[str, str, str], ...]
    rules: tuple[str, ...]
    sudo: tuple[str, ...]
    days: int


@dataclass(frozen=True)
class AccessQuestion:
    """How sshd, PAM and sudo treat an account that comes from one of the peers: an `Access`; None where
    there is no such account.

    `sshd -T -C` prints the effective settings for a connection (sshd(8)); it is asked once, and once for
    each peer where a `Match` of the configuration looks at hosts or addresses.
    """

    account: str
    peers: tuple[str, ...]
    keys: str = ""
    """The file with its keys, where that is not in its home."""

    @classmethod
    def script(cls, questions: list[AccessQuestion]) -> str:
        return "\n".join(map(cls._script, questions))

    def _script(self) -> str:
        account = quote(self.account)
        peers = " ".join(map(quote, self.peers))
        files = "/etc/ssh/sshd_config /etc/ssh/sshd_config.d/*.conf"
        match = "'^[[:space:]]*match.*[[:space:]](host|address|all|localaddress)'"
        return f"""u={account}
section() {{ printf '\\n=%s\\n' "$1"; }}
if ! {IS_ROOT}; then echo hidden; elif ! h=$(getent passwd "$u"); then echo missing
elif ! command -v sshd >/dev/null; then echo nosshd; else
section settings
set -- {peers}; grep -qsiE {match} {files} || set -- "${{1:-localhost}}"
for p do
  a=$(getent ahosts "$p" | sed -n '1s/ .*//p')
  sshd -T -C "user=$u,host=$p,addr=${{a:-127.0.0.1}}" 2>&1
done | sed -nE -e '/^({KEYWORDS}) /Ip' -e 's/^(.*line [0-9]+|[^ ]+:).*/error &/p' | sort -u
section lines; grep -nHiE '^[[:space:]]*({KEYWORDS})[[:space:]=]' {files} 2>/dev/null
section shadow; getent shadow "$u" | sed -E 's/^[^:]*:(.?)[^:]*:/\\1:/'
section groups; for g in $(id -nG "$u"); do echo "$g"; done
section shell; s=${{h##*:}}; [ -x "$s" ] && case $s in */nologin | */false) ;; *) echo yes ;; esac
section nologin; for f in /etc/nologin /run/nologin; do [ ! -e $f ] || echo $f; done
h=${{h%:*}}; h=${{h##*:}}
section paths; f={quote(self.keys)}
set --; [ "$f" ] || set -- "$h" "$h/.ssh" "$h/.ssh/authorized_keys"
while [ "$f" ]; do set -- "$@" "$f"; f=${{f%/*}}; done
stat -c '%a %U %n' -- "$@" 2>/dev/null
section rules; grep -nHiE '^[[:space:]]*(sshd|ALL)[[:space:]]*:' /etc/hosts.deny 2>/dev/null
grep -qsE '^[^#]*pam_access' /etc/pam.d/sshd && grep -nHE '^[[:space:]]*-' /etc/security/access.conf
section sudo; command -v sudo >/dev/null && sudo -n -l -U "$u" 2>/dev/null | grep -E '^ +\\('
section days; echo $(($(date +%s) / 86400)); section done; fi
printf '\\0'"""

    @classmethod
    def parse(cls, output: bytes, questions: list[AccessQuestion]) -> list[Access | None | CannotSee]:
        return each_record(output, questions, _access)


def _access(text: str) -> Access | None | CannotSee:
    if text == "missing":
        return None
    if text in ("hidden", "nosshd"):
        return CannotSee("only root can ask sshd" if text == "hidden" else "there is no sshd")
    sections: dict[str, tuple[str, ...]] = {}
    for part in f"\n{text}".split("\n=")[1:]:
        name, _, body = part.partition("\n")
        sections[name] = tuple(line.strip() for line in body.splitlines() if line.strip())
    if "done" not in sections:
        return NO_ANSWER
    settings: dict[str, tuple[str, ...]] = {}
    for line in sections["settings"]:
        name, _, value = line.partition(" ")
        settings[name.lower()] = (*settings.get(name.lower(), ()), value)
    paths = [line.split(" ", 2) for line in sections["paths"]]
    return Access(
        settings=settings,
        lines=sections["lines"],
        shadow=tuple(sections["shadow"][0].split(":")) if sections["shadow"] else (),
        groups=sections["groups"],
        shell=bool(sections["shell"]),
        nologin=sections["nologin"],
        paths=tuple((mode, owner, path) for mode, owner, path in paths),
        rules=sections["rules"],
        sudo=sections["sudo"],
        days=int(sections["days"][0]),
    )
