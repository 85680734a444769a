"""Certificates whose key is thought compromised: how they are named, and which certificate is one. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from reconciler import x509
from reconciler.model import Question, Value
from reconciler.questions.system import CommandQuestion, CommandResult

FIELD: Final = "compromised"
"""The field of a lineage's state that says whether its key is; what the YAML calls them, too."""

SERIAL: Final = {
    "pattern": "^[0-9A-Fa-f]+(:[0-9A-Fa-f]+)*$",
    "maxLength": 64,
    "x-want": "a serial number as `openssl x509 -noout -serial` prints it, without `serial=`",
}
"""As JSON Schema. A certificate has at most 20 bytes of it (RFC 5280, section 4.1.2.2)."""


def canonical(text: str) -> str:
    """A serial number as `openssl x509 -noout -serial` prints it: two capital digits a byte, no colons."""
    digits = text.replace(":", "").upper().lstrip("0")
    return digits.zfill(max(2, len(digits) + len(digits) % 2))


def serial(leaf: Any) -> str:
    """That of a certificate, in the same form."""
    return canonical(x509.serial_hex(leaf))


@dataclass(frozen=True)
class Compromised:
    """Those that are declared. `serials` are canonical; `look` is shell that prints, for each of them that is
    found on the host, the SHA-256 of its public key: where certbot's renewal file says `reuse_key`, the next
    certificate has the same."""

    serials: tuple[str, ...] = ()
    look: str = ""

    def questions(self) -> Mapping[str, Question]:
        """What to ask about them; nothing where none is declared."""
        return {FIELD: CommandQuestion(self.look)} if self.serials else {}

    def has(self, leaf: Any, answers: Mapping[str, Any]) -> bool:
        """Whether a certificate is one of them or has the key of one, from the answers to `questions`. Where
        the keys could not be seen, it is judged by its number alone."""
        said = answers.get(FIELD)
        sums = said.output.split() if isinstance(said, CommandResult) else ()
        return serial(leaf) in self.serials or (bool(sums) and x509.public_key_sum(leaf) in sums)

    def facts(self, leaf: Any, answers: Mapping[str, Any]) -> Mapping[str, Value]:
        """The same as a field of a state; nothing where none is declared."""
        return {FIELD: self.has(leaf, answers)} if self.serials else {}


NONE: Final = Compromised()
