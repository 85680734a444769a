"""The kind `sudoers`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from reconciler.kinds.written import CONTENT_FILES, WrittenFile
from reconciler.model import option
from reconciler.subjects import Subject


@dataclass(frozen=True, kw_only=True)
class Sudoers(WrittenFile):
    """A drop-in in /etc/sudoers.d, mode 0440, which `visudo -c` has accepted.

    sudo skips names with a dot or a final `~` (sudoers(5)), so they are not accepted here.
    """

    kind: ClassVar[str] = "sudoers"
    title: ClassVar[str] = "drop_in"
    subject: ClassVar[str] = Subject.ACCOUNTS

    drop_in: str = option(
        "The name of the drop-in.",
        schema={"pattern": "^[A-Za-z0-9_-]+$", "x-want": "a name without a dot: sudo skips others"},
    )
    content: str | None = option("Its content.", default=None, needed=True, files=CONTENT_FILES)

    def where(self) -> str:
        return f"/etc/sudoers.d/{self.drop_in}"

    def body(self) -> str | None:
        return self.content

    def permissions(self) -> tuple[str | None, str | None, str | None]:
        return "0440", "root", "root"

    def verify(self) -> str | None:
        return "visudo -c -f {}"
