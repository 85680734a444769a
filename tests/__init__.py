"""The tests, in the folders of what they test. `hosts/` needs real ones; `support/` is what tests share."""

from pathlib import Path

ROOT = Path(__file__).parent.parent
CASES = ROOT / "tests" / "cases"
