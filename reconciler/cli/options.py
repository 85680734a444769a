"""The flags that most commands share, as one object."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.cli.exit import Code, CommandError
from reconciler.cli.stderr import say

__all__ = ["LOG_FORMATS", "Options", "say"]
LOG_FORMATS = ("text", "json")


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the command line says of scope and output; what it does not say is the default. Raises
    `CommandError` where it is to be quiet and verbose, or to log in another format."""

    host: list[str] | None = None
    only: list[str] | None = None
    replace: list[str] | None = None
    rollback: list[str] | None = None
    json: bool = False
    parallel: int = 32
    timeout: int | None = None
    """Seconds to wait for a host; None: as the environment file says."""
    no_color: bool = False
    verbose: int = 0
    """How often -v was given."""
    summary: bool = False
    commands: bool = False
    quiet: bool = False
    log_format: str = "text"

    def __post_init__(self) -> None:
        if self.quiet and self.verbose:
            raise CommandError(Code.USAGE, "--quiet and --verbose: use only one of them")
        if self.log_format not in LOG_FORMATS:
            raise CommandError(Code.USAGE, f"--log-format: text or json, not {self.log_format!r}")

    @property
    def scope(self) -> dict[str, list[str]]:
        """What a plan was narrowed to; kept in a saved plan."""
        given = {"host": self.host, "only": self.only, "replace": self.replace, "rollback": self.rollback}
        return {name: sorted(values or ()) for name, values in given.items()}

    @property
    def whole(self) -> bool:
        """Whether all of the environment is looked at, and as it is declared."""
        return not any(self.scope.values())

    @property
    def narrowing(self) -> str:
        """The flags that narrow what is looked at, as they were typed; "" where all of it is."""
        hosts, kinds = (
            " ".join(f"--{name} {value}" for value in values or ())
            for name, values in (("host", self.host), ("only", self.only))
        )
        return f"{hosts} {kinds}".strip()

    @property
    def narrowed(self) -> bool:
        """Whether only a part of the environment is looked at."""
        return bool(self.host or self.only)
