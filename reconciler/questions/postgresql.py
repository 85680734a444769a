"""The question about PostgreSQL's settings as they are after its next reload or start."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model import CannotSee, quote
from reconciler.questions.files import IS_ROOT, NO_ANSWER, each_record

NAMES = ("ssl", "ssl_cert_file", "ssl_key_file", "listen_addresses")


@dataclass(frozen=True)
class Setting:
    """The value that counts, and where it comes from: FILE:LINE, `the command line`, or "" for the
    default."""

    value: str
    place: str


@dataclass(frozen=True)
class PostgresqlQuestion:
    """The settings of a cluster, by name, as `Setting`s; None where this version is not installed.

    A server that runs is asked: `pg_file_settings` has every line of every file in the order in which
    they count, postgresql.auto.conf last, whether they are loaded or not (PostgreSQL's documentation,
    "pg_file_settings"); what the command line sets counts before them. Of one that does not run,
    `postgres -C` tells the values, and grep where they may come from.
    """

    version: str
    port: int = 5432

    @classmethod
    def script(cls, questions: list[PostgresqlQuestion]) -> str:
        return "\n".join(map(cls._script, questions))

    def _script(self) -> str:
        tools = f"/usr/lib/postgresql/{self.version}/bin"
        folder = f"/etc/postgresql/{self.version}/main"
        names = ", ".join(f"'{name}'" for name in NAMES)
        of = f"WHERE name IN ({names})"
        query = (  # of nothing but the names above
            "SELECT name, setting, sourcefile || ':' || sourceline FROM"  # noqa: S608
            f" (SELECT * FROM pg_file_settings {of} ORDER BY seqno) AS f UNION ALL"
            f" SELECT name, setting, 'the command line' FROM pg_settings {of}"
            " AND source IN ('command line', 'environment variable')"
        )
        psql = f"{tools}/psql -X -A -t -F ' ' -p {self.port} -d postgres -c {quote(query)}"
        offline = (
            f"for n in {' '.join(NAMES)} data_directory; do"
            f" printf '%s %s\\n' $n \"$({tools}/postgres -C $n -D {folder} 2>/dev/null)\"; done"
        )
        # As the account, whose folders these are: no link there leads root anywhere, no pipe makes it wait.
        lines = (
            "cd / && timeout 10 runuser -u postgres -- grep -D skip -nHi -E"
            f" '^[[:space:]]*({'|'.join(NAMES)})[[:space:]=]'"
        )
        return f"""if [ ! -x {tools}/postgres ]; then echo missing
elif ! {IS_ROOT}; then echo hidden
elif o=$(cd / && timeout 10 runuser -u postgres -- {psql} 2>/dev/null); then
printf 'online\\n%s\\ndone\\n' "$o"
else o=$(cd / && timeout 10 runuser -u postgres -- sh -c {quote(offline)} 2>/dev/null)
d=$(printf '%s\\n' "$o" | sed -n 's/^data_directory //p')
printf 'offline\\n%s\\nlines\\n' "$o"
({lines} {folder}/postgresql.conf {folder}/conf.d/*.conf "$d/postgresql.auto.conf") 2>/dev/null |
  head -c 65536; echo done; fi
printf '\\0'"""

    @classmethod
    def parse(
        cls, output: bytes, questions: list[PostgresqlQuestion]
    ) -> list[dict[str, Setting] | None | CannotSee]:
        return each_record(output, questions, _settings)


def _settings(text: str) -> dict[str, Setting] | None | CannotSee:
    lines = text.splitlines()
    if lines == ["missing"]:
        return None
    if lines == ["hidden"]:
        return CannotSee("only root can ask PostgreSQL for its settings")
    if len(lines) < 2 or lines[-1] != "done":
        return NO_ANSWER
    if lines[0] == "online":
        rows = (line.split(" ", 1) for line in lines[1:-1])
        return {name: Setting(*_split(rest)) for name, rest in (row for row in rows if len(row) == 2)}
    cut = lines.index("lines")
    values = dict(line.split(" ", 1) for line in lines[1:cut] if " " in line)
    found = {}
    for name in NAMES:
        value = values.get(name, "")
        named = [line for line in lines[cut + 1 : -1] if _names(line, name) and value.lower() in line.lower()]
        found[name] = Setting(value, ":".join(named[-1].split(":", 2)[:2]) if value and named else "")
    # A configuration that cannot be read has no values at all; the service's check says so.
    return found if values.get("ssl") else {}


def _split(text: str) -> tuple[str, str]:
    """A value, which may hold blanks, and its place, which is the last word but for the command line."""
    if text.endswith(" the command line"):
        return text.removesuffix(" the command line"), "the command line"
    value, _, place = text.rpartition(" ")
    return value, place


def _names(line: str, name: str) -> bool:
    return line.split(":", 2)[-1].strip().lower().startswith((f"{name} ", f"{name}="))
