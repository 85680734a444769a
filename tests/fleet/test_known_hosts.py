"""known_hosts as ssh reads it, judged by ssh-keygen's own search."""

from __future__ import annotations

import base64
import hmac
import re
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.fleet.known_hosts import PinnedKeys
from tests.support.faults import new_key, public_of


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("keys")
    return [public_of(new_key(folder / str(number))) for number in range(3)]


def by_ssh_keygen(path: Path, label: str) -> dict[str, list[int]]:
    """The lines that name a host, by what they say of it, as `ssh-keygen -F` finds them."""
    done = subprocess.run(
        ["ssh-keygen", "-F", label, "-f", path], capture_output=True, text=True, check=False, timeout=20
    )
    found: dict[str, list[int]] = {"": [], "REVOKED": [], "CA": []}
    for number, marker in re.findall(r"found: line (\d+) ?(\w*)", done.stdout):
        found[marker].append(int(number))
    return found


def test_a_thousand_hashed_names_are_found_in_seconds(keys: list[str]) -> None:
    """An HMAC for each pair of a host and a line, and nothing else for each pair."""
    names = [f"cn-{number}.example.org" for number in range(1000)]
    lines = []
    for number, name in enumerate(names):
        salt = number.to_bytes(20)
        parts = (base64.b64encode(each).decode() for each in (salt, hmac.digest(salt, name.encode(), "sha1")))
        lines.append(f"|1|{'|'.join(parts)} {keys[number % 3]}")
    began = time.process_time()
    known = PinnedKeys(lines)
    assert [known.find(name).pinned for name in names] == [(keys[number % 3],) for number in range(1000)]
    assert time.process_time() - began < 20


NAMES = ("cn-1.example.org", "[cn-1.example.org]:2222", "10.0.0.1")
PATTERNS = st.sampled_from(
    [
        *NAMES,
        "*",
        "*.example.org",
        "!cn-1.example.org",
        "!*.org",
        "cn-?.example.org",
        "[*]:2222",
        "CN-1.example.ORG",
    ]
    + ["[cn-1.example.org]:22", "[*.example.org]:*", "cn-[12].example.org", "10.0.0.?", "!10.0.0.1", "other"]
)
FIELDS = st.lists(PATTERNS, min_size=1, max_size=3).map(",".join)
MARKERS = st.sampled_from(["", "@revoked ", "@cert-authority ", "@unheard-of ", "# "])


@given(lines=st.lists(st.tuples(MARKERS, FIELDS), min_size=3, max_size=3), label=st.sampled_from(NAMES))
@settings(max_examples=60, deadline=None)
def test_a_line_names_the_hosts_that_it_names_for_ssh(
    keys: list[str], tmp_path_factory: pytest.TempPathFactory, lines: list[tuple[str, str]], label: str
) -> None:
    path = tmp_path_factory.mktemp("known") / "known_hosts"
    text = [f"{marker}{names} {key}" for (marker, names), key in zip(lines, keys, strict=True)]
    path.write_text("\n".join(text) + "\n", encoding="ascii")
    known, right = PinnedKeys(text).find(label), by_ssh_keygen(path, label)
    assert sorted(known.pinned) == sorted(keys[number - 1] for number in right[""])
    assert sorted(known.revoked) == sorted(keys[number - 1] for number in right["REVOKED"])
    assert sorted(known.authorities) == sorted(keys[number - 1] for number in right["CA"])


def test_a_hashed_name_and_a_revoked_key(keys: list[str], tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    path.write_text(f"cn-1 {keys[0]}\n[cn-1]:2222 {keys[1]}\n", encoding="ascii")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", path], check=True, capture_output=True, timeout=20)
    lines = path.read_text(encoding="ascii").splitlines()
    assert "cn-1" not in "".join(lines)
    known = PinnedKeys(lines)
    assert (known.find("cn-1").pinned, known.find("[cn-1]:2222").pinned) == ((keys[0],), (keys[1],))
    assert PinnedKeys([*lines, f"@revoked * {keys[0]}"]).find("cn-1").pinned == ()


@pytest.mark.parametrize("size", [0, 1, 20, 63, 64, 65, 200])
def test_a_hash_is_the_hmac_whatever_its_salt(size: int, keys: list[str]) -> None:
    salt = bytes(number % 256 for number in range(size))
    digest = hmac.digest(salt, b"h1.example.org", "sha1")
    line = f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()} {keys[0]}"
    assert PinnedKeys([line]).find("h1.example.org").pinned == (keys[0],)
    assert PinnedKeys([line]).find("h2.example.org").pinned == ()
