"""The kind `pinned`."""

from __future__ import annotations

from typing import Any

from reconciler.kinds.certificate.pinned import Pinned
from reconciler.plan.planner import plan
from reconciler.questions.files import FileEntry
from reconciler.questions.system import CommandResult
from tests.kinds.certificate.pairs import (
    NOW,
)


def test_what_somebody_has_pinned_is_reported_and_never_planned_for() -> None:
    pinned = Pinned(host="a", path="/live/privkey.pem.pk8", key="/current/privkey.pem")
    there = FileEntry("f", "0650", "tomcat", "ssl-cert", 1200, "")

    def look(public: CommandResult, used: CommandResult, file: FileEntry | None = there) -> tuple[Any, Any]:
        seen = pinned.read({"file": file, "public": public, "used": used}, NOW)
        return seen, plan("e", [pinned], {pinned.ref: seen}, {}).actions

    for public, used, whose in (
        (CommandResult(0, "A"), CommandResult(0, "A"), "the one in use"),
        (CommandResult(0, "A"), CommandResult(0, "B"), "an older one"),
        (CommandResult(1, ""), CommandResult(0, "B"), "cannot be read"),
    ):
        seen, actions = look(public, used)
        assert seen == {
            "type": "file",
            "mode": "0650",
            "owner": "tomcat",
            "group": "ssl-cert",
            "its key": whose,
        }
        assert actions == ()
    assert look(CommandResult(1, ""), CommandResult(0, "B"), None) == (None, ())
