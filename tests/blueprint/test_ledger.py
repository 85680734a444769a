"""The ledger of orders, as the renewal script reads it: within which limits the next order is."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from reconciler.blueprint import templates

SCRIPT = Path(templates.__file__).parent / "certificate.sh"


def limits(folder: Path, *lines: str) -> tuple[int, str]:
    """The status and the words of `limits` for a ledger; `-N` in a line is N seconds ago. Its limits
    are 3 orders in a week and 2 failures in an hour."""
    script = SCRIPT.read_text(encoding="utf-8")
    for name, value in {"state": folder, "orders_a_week": 3, "failures_an_hour": 2}.items():
        before, _, after = script.partition(f"\n{name}=")
        script = f"{before}\n{name}={value}\n{after.partition(chr(10))[2]}"
    now = int(time.time())
    rows = [line.split(" ", 1) for line in lines]
    text = "".join(f"{now + int(at) if at[0] == '-' else at} {rest}\n" for at, rest in rows)
    (folder / "orders").write_text(text, encoding="utf-8")
    ended = subprocess.run(["sh", "-s", "limits"], input=script, text=True, capture_output=True, check=False)
    return ended.returncode, ended.stderr


ISSUED = ("-90000 begun", "-89990 issued", "-80000 begun order-1-2 A", "-79990 issued order-1-2 B")


@pytest.mark.parametrize(
    "lines",
    [
        ISSUED,
        (*ISSUED, "-700000 issued order-0-1 Z"),
        (*ISSUED, "-70000 issued renew-1-3 B"),
        (*ISSUED, "garbage of a power cut", "-30 failed order-3-3"),
        ("-50 begun", "-40 failed"),
        (
            "-50 begun order-1-2 A",
            "-40 begun by-hand-4-5 A",
            "-30 issued order-1-2 B",
            "-20 failed by-hand-4-5",
        ),
    ],
    ids=["two issued", "one of last week", "one noted twice", "no line", "one failed", "interleaved"],
)
def test_within_the_limits_an_order_is_allowed(tmp_path: Path, lines: tuple[str, ...]) -> None:
    assert limits(tmp_path, *lines) == (0, "")


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ((*ISSUED, "-10 issued order-9-9 C"), "3 certificates for these names in 7 days, and the limit is 3"),
        ((*ISSUED, "-10 begun order-9-9 C"), "3 certificates for these names in 7 days, and the limit is 3"),
        (("-50 begun", "-40 failed", "-30 failed order-1-2"), "2 failed orders within an hour"),
        (("-50 begun order-1-2 A", "-40 begun renew-1-3 A"), "2 failed orders within an hour"),
        (("-50 begun", "-40 begun", "-30 issued", "-20 failed"), "2 failed orders within an hour"),
    ],
    ids=["issued", "begun and not ended", "failed", "two not ended", "of earlier versions"],
)
def test_beyond_a_limit_it_is_refused(tmp_path: Path, lines: tuple[str, ...], why: str) -> None:
    status, told = limits(tmp_path, *lines)
    assert (status, told.startswith(why)) == (75, True), told
    assert "; the next is possible from 20" in told
