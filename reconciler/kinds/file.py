"""The kind `file`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from reconciler.kinds.paths import ABSOLUTE, LINE, MODE, NAME
from reconciler.kinds.written import CONTENT_FILES, WrittenFile
from reconciler.model import option
from reconciler.subjects import Subject


@dataclass(frozen=True, kw_only=True)
class File(WrittenFile):
    """A regular file: its content, owner, group and mode.

    New content is written beside the old one, checked by `check`, and renamed into place,
    so that no reader ever sees half of it. What is not declared stays as it is.
    """

    kind: ClassVar[str] = "file"
    title: ClassVar[str] = "path"
    subject: ClassVar[str] = Subject.FILES

    path: str = option("Where it lies.", schema=ABSOLUTE)
    content: str | None = option("The whole content.", default=None, files=CONTENT_FILES)
    mode: str | None = option("Its mode; 0644 when it is created.", default=None, schema=MODE)
    owner: str | None = option(
        "Its owner; when it is created, root, or who can change its folder.", default=None, schema=NAME
    )
    group: str | None = option(
        "Its group; when it is created, that of who creates it.", default=None, schema=NAME
    )
    check: str | None = option(
        "A command that must succeed before the file counts; `{}` stands for its path.",
        default=None,
        schema=LINE,
    )
    secret: bool = option("Never read the content back, never show it.", default=False)

    def where(self) -> str:
        return self.path

    def body(self) -> str | None:
        return self.content

    def permissions(self) -> tuple[str | None, str | None, str | None]:
        return self.mode, self.owner, self.group

    def verify(self) -> str | None:
        return self.check

    def is_secret(self) -> bool:
        return self.secret
