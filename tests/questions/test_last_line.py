"""A properties file whose last line has no newline: what editors and `printf` leave."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.kinds.property import Property
from tests.support.local import HOST, plan, settle


@pytest.mark.parametrize("secret", [False, True], ids=["shown", "secret"])
@pytest.mark.parametrize("text", ["key=value", "other=x\nkey=value", "key=other", "key=a\nkey=b", "x=y"])
def test_a_key_on_a_last_line_without_newline_is_read_and_set(
    tmp_path: Path, text: str, secret: bool
) -> None:
    file = tmp_path / "node.properties"
    file.write_text(text)
    wanted = Property(host=HOST, path=str(file), key="key", value="value", secret=secret)
    settle(wanted)
    left = plan(wanted)
    assert (left.actions, left.unknown) == ((), {})
    assert "key=value" in file.read_text().splitlines()
