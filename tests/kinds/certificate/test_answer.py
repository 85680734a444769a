"""The kind `answer`."""

from __future__ import annotations

from reconciler.kinds.certificate.answer import NOTHING, Answer
from reconciler.kinds.certificate.release import LOADABLE
from reconciler.model import Ref, Seen
from reconciler.questions.system import CommandResult
from tests.kinds.certificate.pairs import (
    NOW,
    planned,
)

OLD = {"Age": "3600"}
OWNER = Ref("b", "service", "apache2")


def test_port_80_is_loaded_again_only_where_something_else_answers() -> None:
    link = Ref("b", "current", "/c")
    answer = Answer(host="b", path="/p", text="t", names=("a", "b"), established=(link,), owner=OWNER)

    def made(first: CommandResult, second: CommandResult, established: Seen = None) -> int:
        seen = answer.read({"unit": OLD, "a": first, "b": second}, NOW)
        return len(planned(answer, seen, link={link: established}).actions)

    good, other, refused = CommandResult(0, "t"), CommandResult(0, "x"), CommandResult(7, "refused")
    assert made(good, good) == 0
    assert made(good, other) == 1
    assert made(refused, refused) == 1
    assert made(refused, refused, {"type": "link", "leads to": LOADABLE}) == 0
    assert answer.read({"unit": OLD, "a": refused, "b": CommandResult(3, "")}, NOW) == {
        "as a": NOTHING,
        "as b": "curl is not installed",
    }
