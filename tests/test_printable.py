"""What hosts say, made harmless for terminals, JSON readers and services for messages."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from reconciler.printable import json_text, printable, unmentioned

ODD = "a\x1b[31m\nb\u009b1m\u202etxt.exe\u2028\u200f\U000e0041\x7f"


@given(st.text())
def test_nothing_moves_a_cursor_begins_a_line_or_turns_the_order(text: str) -> None:
    for shown in (printable(text), unmentioned(text)):
        assert shown.isprintable()


def test_control_characters_are_shown_by_their_numbers() -> None:
    assert printable(ODD) == r"a\x1b[31m\nb\x9b1m\u202etxt.exe\u2028\u200f\U000e0041\x7f"


@given(
    st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5)
)
def test_json_means_the_same_and_a_terminal_can_show_it(value: object) -> None:
    shown = json_text(json.dumps(value, ensure_ascii=False, indent=2))
    assert json.loads(shown) == value
    assert all(line.isprintable() for line in shown.split("\n"))


def test_nobody_is_called_and_no_link_hides_where_it_leads() -> None:
    told = unmentioned(
        "<!channel> <@U123> <#C1> <https://evil|bank> @everyone @here\n<a> 1 < 2 me@example.org"
    )
    assert told == (
        r"< !channel> < @U123> < #C1> < https://evil|bank> @ everyone @ here\n<a> 1 < 2 me@example.org"
    )
