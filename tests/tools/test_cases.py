"""The cases of the kinds: what a host printed is kept as it was."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tools import cases


@given(st.binary(max_size=50).filter(lambda output: cases.NUL.encode() not in output))
def test_what_a_host_printed_is_read_back_byte_by_byte(output: bytes) -> None:
    assert cases._bytes(cases._readable(output)) == output
