"""What is left of a certificate's lifetime goes by what it says itself, and not by what is declared."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from reconciler.approval.policy import left_of_lifetime, lifetimes
from reconciler.model import Ref, Seen

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
REF = Ref("h", "release", "cn.example.org")


def seen(begins: timedelta | None, ends: timedelta) -> dict[Ref, Seen]:
    state: dict[str, object] = {"expires": (NOW + ends).isoformat()}
    if begins is not None:
        state["begins"] = (NOW + begins).isoformat()
    return {REF: state}  # type: ignore[dict-item]


def test_six_days_are_not_taken_for_the_last_of_ninety() -> None:
    def declared(_: Ref) -> timedelta:
        return timedelta(days=90)

    three = timedelta(days=3)
    assert left_of_lifetime(seen(-three, three), declared, NOW) == 0.5
    # What an earlier version has kept says only its end; one that ends before it begins says nothing.
    assert left_of_lifetime(seen(None, three), declared, NOW) == 3 / 90
    assert lifetimes(seen(2 * three, three)) == {}
    assert left_of_lifetime({}, declared, NOW) is None
