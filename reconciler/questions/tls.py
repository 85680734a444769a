"""Questions about certificates on disk and on the wire. No private key is ever printed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from reconciler.model import CannotSee, quote
from reconciler.questions.files import NO_ANSWER

PEM_LIMIT = 64 * 1024
NOTHING = "nothing listens"
"""The reason where a port does not even take a connection."""

STARTTLS = {
    "postgresql": "postgres",
    "smtp": "smtp",
    "imap": "imap",
    "pop3": "pop3",
    "ldap": "ldap",
    "ftp": "ftp",
    "mysql": "mysql",
}
"""The protocols within which a client asks for TLS, and what `openssl s_client -starttls` calls each."""

PROTOCOLS = ("tls", *STARTTLS)
"""Those, and the one where TLS begins with the first byte."""

KEYS = {
    "RSA": "rsa_pss_rsae_sha256:rsa_pss_rsae_sha384:rsa_pss_rsae_sha512:RSA+SHA256:RSA+SHA384:RSA+SHA512",
    "ECDSA": "ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512",
}
"""The kinds of key, and what a client offers that takes no other, in OpenSSL's words (SSL_CTX_set1_sigalgs).
A server that has certificates with both goes by that (RFC 8446, section 4.4.2.2; RFC 5246, section 7.4.2)."""

LOOPBACK = "127.0.0.1"
LOCAL = ("localhost", LOOPBACK, "::1")
"""What a host calls itself."""

ADDRESSES = (
    "addresses() { for a in $(getent ahosts \"$1\" | awk '!seen[$1]++ {print $1}'); do"
    ' r=$(ip route get "$a" 2>/dev/null) || continue; case $a in *:*) a="[$a]";; esac;'
    ' case $r in local*) a="=$a";; esac; echo "$a"; done; }'
)
"""Shell: `addresses NAME` prints each address that a name has here and that this host has a way to, IPv6 in
brackets; after a `=` those that are its own."""

ITSELF = "an address of this host itself"
MISLED = (
    f'misled() {{ printf "%s leads to %s, {ITSELF}" "$1" "${{2#=}}"; '
    'awk -v name="$1" -v address="${2#=}" \'{ sub(/#.*/, ""); for (i = 2; i <= NF; i++) '
    'if (tolower($i) == tolower(name) && (address == $1 || address == "[" $1 "]")) '
    '{ print " (/etc/hosts:" NR ")"; exit } }\' /etc/hosts 2>/dev/null; }'
)
"""Shell: `misled NAME ADDRESS` says that what goes by this name of another host stays here, and why."""

COMPLAINT = (
    "/^verify /||!/[Ee]rror|errno|refused/{next} !first{first=$0} "
    "/SSL routines/{print;told=1;exit} END{if(!told)print first}"
)
"""For awk: the line of `openssl s_client` that says why. Its queue of errors tells first what
went wrong deep inside and then what that means for TLS; the meaning is wanted."""

CERTIFICATES = """certificates() {
  set -f; IFS='
'; c= w=
  for l in $1; do
    case $l in -----BEGIN\\ CERTIFICATE-----*) w=1 ;; -----BEGIN*) w= ;; esac
    [ ! "$w" ] || c="$c$l
"
    case $l in -----END\\ CERTIFICATE-----*) w= ;; esac
  done
  set +f; unset IFS
}"""
"""Shell: `certificates TEXT` sets `c` to what stands between the marks of certificates. One that does not end
is cut off where something else begins, which may be a key. No process is started: a look does this ten
times and more."""

# What is shown is compared, not trusted: reading the CAs would cost most of the time. Of what `s_client` says
# only the certificates leave the host: it also tells the key of the session.
SHAKE = f"""{CERTIFICATES}
shake() {{
  n=$1; shift; o=$(openssl s_client -no-CAfile -no-CApath "$@" -showcerts 2>&1 </dev/null); s=$?
  [ "$o" ] || s=126  # it always says something
  if [ $s = 0 ]; then certificates "$o"; o=$c
  else o=$(printf '%s\\n' "$o" | awk {quote(COMPLAINT)}); fi
  printf '%s %d %.40000s\\0' "$n" "$s" "$o"
}}"""
"""Shell: `shake WHICH OPTION…` prints what a handshake shows, or why there was none; in a subshell."""


@dataclass(frozen=True)
class CertificatesQuestion:
    """The certificates in a file, as PEM text; links are followed. None where there is none.

    Only what stands between the marks of a certificate is printed, so a private key that
    somebody put into the file stays on the host.
    """

    path: str

    @property
    def location(self) -> str:
        return f"@{self.path}"

    @classmethod
    def script(cls, questions: list[CertificatesQuestion]) -> str:
        # What lies below a folder that the account may not search is hidden, not absent.
        away = (
            'd=$1; while d=${d%/*}; [ "$d" ] && [ ! -e "$d" ]; do :; done; '
            '[ -d "${d:-/}" ] && [ ! -x "${d:-/}" ] && echo hidden || echo none'
        )
        lines = [
            f'if mine {quote(q.location)}; then set -- {quote(q.path)}; if [ ! -e "$1" ]; then {away}; '
            'elif [ ! -f "$1" ]; then echo odd; '
            f'elif [ ! -r "$1" ]; then echo hidden; elif c=$(head -c {PEM_LIMIT} "$1"); then '
            'certificates "$c"; printf %s "$c"; else echo failed; fi; printf \'\\0\'; fi'
            for q in questions
        ]
        return "\n".join([CERTIFICATES, *lines])

    @classmethod
    def parse(cls, output: bytes, questions: list[CertificatesQuestion]) -> list[str | None | CannotSee]:
        records = output.decode("ascii", "replace").split("\0")
        if len(records) != len(questions) + 1:
            return [NO_ANSWER for _ in questions]
        answers: list[str | None | CannotSee] = []
        for question, record in zip(questions, records, strict=False):
            text = record.strip()
            if text == "hidden":
                answers.append(CannotSee("the account may not read the certificate"))
            elif text == "odd":
                answers.append(CannotSee(f"{question.path} is something else than a file"))
            elif text.endswith("failed"):
                answers.append(CannotSee("the certificate could not be read (`head`)"))
            else:
                answers.append(None if text == "none" else text)
        return answers


@dataclass(frozen=True)
class HandshakeResult:
    """What a service presented in a handshake that was completed: PEM, leaf first. Where
    none was completed, `certificates` is empty and `reason` says why."""

    certificates: str
    reason: str = ""


@dataclass(frozen=True)
class HandshakeQuestion:
    """A TLS handshake with the host itself or with `host`, for one name (None: without SNI).

    A service whose key does not belong to its certificate presents the certificate all the
    same; only a handshake that was completed proves the pair. `protocol` is one of
    `PROTOCOLS`, and `key` the one of `KEYS` that the client takes; any if it is empty. All handshakes run
    side by side, for `limit` seconds; one that has not ended then tells nothing: it is `CannotSee`. A `host`
    with several addresses is asked at each, as its clients take any of them: where they do not all present
    the same, the answer is what is wrong, and where. One that is `elsewhere` is another
    host: an address of the host that asks then proves nothing.
    """

    limit: ClassVar[int] = 10

    port: int
    protocol: str
    name: str | None
    host: str = LOOPBACK
    key: str = ""
    elsewhere: bool = False

    @classmethod
    def script(cls, questions: list[HandshakeQuestion]) -> str:
        lines = [
            'for c in openssl awk; do command -v $c >/dev/null || { printf "m %s\\0" $c; exit; }; done',
            ADDRESSES,
            MISLED,
            SHAKE,
        ]
        hosts = list(dict.fromkeys(q.host for q in questions))
        lines += [
            f"h{number}=$(addresses {quote(host)})" for number, host in enumerate(hosts) if host != LOOPBACK
        ]
        for number, q in enumerate(questions):
            sni = f"-servername {quote(q.name)}" if q.name else "-noservername"
            start = f" -starttls {STARTTLS[q.protocol]}" if q.protocol in STARTTLS else ""
            if q.key:
                start += f" -sigalgs {KEYS[q.key]}"
            if q.host == LOOPBACK:
                lines.append(f"shake {number} -connect {LOOPBACK}:{q.port}{start} {sni} &")
                continue
            here = f'printf "{number} 0 =%s\\0" "$(misled {quote(q.host)} "$a")"; continue'
            lines.append(
                f"set -- $h{hosts.index(q.host)}; [ $# -gt 0 ] || set -- {quote(q.host)}\n"
                f"for a; do case $a in =*) {here if q.elsewhere else 'a=${a#=}'} ;; esac\n"
                f'shake "{number}${{2:+@$#/$a}}" -connect "$a:{q.port}"{start} {sni} & done'
            )
        return "\n".join([*lines, "wait"])

    @classmethod
    def parse(cls, output: bytes, questions: list[HandshakeQuestion]) -> list[HandshakeResult | CannotSee]:
        found: dict[int, _AtAddresses] = {}
        for record in output.decode("utf-8", "backslashreplace").split("\0")[:-1]:
            which, status, text = (record.split(" ", 2) + ["", ""])[:3]
            if which == "m":
                missing = CannotSee(f"{status} is missing, no handshake can be made; install it there")
                return [missing for _ in questions]
            number, _, at = which.partition("@")
            count, _, address = at.partition("/")
            if number.isdigit() and status.isdigit():
                told = found.setdefault(int(number), _AtAddresses(int(count) if count.isdigit() else 1))
                told.results[address] = _result(int(status), text)
        return [
            found.get(number, _AtAddresses(1)).all_of_them()
            or CannotSee(f"`openssl s_client` to port {q.port} did not end within {q.limit} s")
            for number, q in enumerate(questions)
        ]


@dataclass
class _AtAddresses:
    """What came of one question at each of so many addresses, of which a single one is not named."""

    count: int
    results: dict[str, HandshakeResult | CannotSee] = field(default_factory=dict)

    def all_of_them(self) -> HandshakeResult | CannotSee | None:
        """What each is, or the first that is otherwise, with its address; None where one has not ended."""
        told = sorted(self.results.items())
        for address, result in told:
            if isinstance(result, CannotSee):
                return result
            if result.reason and address:
                return HandshakeResult("", f"at {address}: {result.reason}")
            if result != told[0][1]:
                return HandshakeResult("", f"at {address}: another certificate than at {told[0][0]}")
        return told[0][1] if len(told) == self.count else None


def _result(status: int, text: str) -> HandshakeResult | CannotSee:
    if status == 0:
        return CannotSee(text[1:]) if text.startswith("=") else HandshakeResult(text)
    # What a shell says of a command that could not be run or was ended (POSIX, 2.8.2).
    if status >= 124:
        return CannotSee(f"`openssl s_client` could not be run, or was ended (status {status})")
    return HandshakeResult("", _reason(text))


def _reason(said: str) -> str:
    """OpenSSL's words in ours (ssl/ssl_err.c has the texts it may print)."""
    words = {
        "refused": NOTHING,
        "errno=111": NOTHING,
        "signature": "the handshake fails: its key does not belong to its certificate",
        "unexpected eof": "it closes the connection during the handshake",
        "bio_lookup": "the name has no address there",
        "reset by peer": "it closes the connection during the handshake",
    }
    for word, meaning in words.items():
        if word in said.lower():
            return meaning
    # id:error:code:library:function:reason:file:line:
    parts = said.strip().split(":")
    why = parts[5] if len(parts) > 6 else parts[-1]
    return f"the handshake fails: {why[:80] or 'no reason given'}"
