"""The question about Tomcat's connectors."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from reconciler.model import CannotSee, quote
from reconciler.questions.files import NO_ANSWER, each_record

ATTRIBUTES = (
    "port",
    "address",
    "certificateFile",
    "certificateKeyFile",
    "certificateChainFile",
    "certificateKeystoreFile",
    "SSLCertificateFile",
    "SSLCertificateKeyFile",
    "SSLCertificateChainFile",
    "keystoreFile",
)
"""What is printed of server.xml, which may hold passwords in others."""

# Prints LINE TAG ATTRIBUTE="VALUE" for each, outside of comments: a tag may go on over several lines.
_AWK = """
{ text = text $0 " \\n" }
END {
  line = 1
  while (text != "") {
    if (substr(text, 1, 4) == "<!--") {
      end = index(text, "-->"); part = end ? substr(text, 1, end + 2) : text
    } else if (substr(text, 1, 1) == "<") {
      end = index(text, ">"); part = end ? substr(text, 1, end) : text
      split(substr(part, 2), words, /[ \\t\\r\\n>]/); tag = words[1]
      if (tag ~ /^\\/?(Connector|SSLHostConfig|Certificate)\\/?$/) {
        print line, tag, (part ~ /\\/>$/ ? "closed" : "open")
        rest = part; at = line
        while (match(rest, /[ \\t\\r\\n][A-Za-z]+[ \\t\\r\\n]*=[ \\t\\r\\n]*("[^"]*"|'[^']*')/)) {
          each = substr(rest, RSTART + 1, RLENGTH - 1); before = substr(rest, 1, RSTART + 1)
          at += gsub(/\\n/, "", before)
          rest = substr(rest, RSTART + RLENGTH); name = each; sub(/[ \\t\\r\\n]*=.*/, "", name)
          if (index(names, " " name " ")) { value = each; gsub(/\\n/, " ", value); print at, tag, value }
          at += gsub(/\\n/, "", each)
        }
      }
    } else { end = index(text, "<"); part = end ? substr(text, 1, end - 1) : text }
    text = substr(text, length(part) + 1)
    line += gsub(/\\n/, "", part)
  }
}"""


@dataclass(frozen=True)
class Connector:
    """A connector: its port and address as written, and the certificate files that it names: line,
    attribute, value."""

    line: int
    port: str
    address: str
    files: tuple[tuple[int, str, str], ...]


@dataclass(frozen=True)
class ConnectorsQuestion:
    """The connectors in a server.xml that Tomcat would open at its next start, as `Connector`s; None
    where there is no such file. Comments are no connectors."""

    path: str

    @property
    def location(self) -> str:
        return f"@{self.path}"

    @classmethod
    def script(cls, questions: list[ConnectorsQuestion]) -> str:
        names = quote(f" {' '.join(ATTRIBUTES)} ")
        read = f'head -c 1048576 "$1" | awk -v names={names} {quote(_AWK)} && echo done'
        test = 'if [ ! -e "$1" ]; then echo missing; elif [ ! -f "$1" ] || [ ! -r "$1" ]; then echo hidden'
        return "\n".join(
            f"if mine {quote(q.location)}; then set -- {quote(q.path)}"
            f"; {test}; else {read}; fi; printf '\\0'; fi"
            for q in questions
        )

    @classmethod
    def parse(
        cls, output: bytes, questions: list[ConnectorsQuestion]
    ) -> list[tuple[Connector, ...] | None | CannotSee]:
        return each_record(output, questions, _connectors)


def _connectors(text: str) -> tuple[Connector, ...] | None | CannotSee:
    lines = text.splitlines()
    if lines == ["missing"]:
        return None
    if lines == ["hidden"]:
        return CannotSee("the account may not read it")
    if lines[-1:] != ["done"]:
        return NO_ANSWER
    found: list[Connector] = []
    inside = False
    for each in lines[:-1]:
        number, tag, rest = each.split(" ", 2)
        line = int(number)
        match = re.match(r"([A-Za-z]+)\s*=\s*[\"'](.*)[\"']$", rest)
        if tag == "Connector" and not match:
            found.append(Connector(line, "", "", ()))
            inside = True
        elif tag.startswith("/Connector"):
            inside = False
        elif match and found and inside:
            found[-1] = _with(found[-1], line, match[1], match[2])
    return tuple(found)


def _with(one: Connector, line: int, name: str, value: str) -> Connector:
    if name == "port":
        return replace(one, port=value)
    if name == "address":
        return replace(one, address=value)
    return replace(one, files=(*one.files, (line, name, value)))
