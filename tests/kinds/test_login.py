"""The kind `login`: the groups that lead to root, or to the key."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from reconciler.kinds.effective.login import AccountAccess
from reconciler.questions.sshd import Access

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "group", ["docker", "sudo", "disk", "shadow", "ssl-cert", "lxd", "kmem", "staff", "libvirt", "root"]
)
def test_a_sync_account_in_a_group_that_leads_to_root_or_to_the_key_is_told(group: str) -> None:
    account = AccountAccess(host="a", account="sync", home="/home/sync", peers=("b",))
    access = Access(
        settings={}, lines=(), shadow=(), groups=("sync", "adm", group), shell=True, nologin=(), paths=(), rules=(),
        sudo=(), days=20_000,
    )  # fmt: skip
    state = account.read({"access": access}, NOW)
    assert isinstance(state, dict)
    assert state["is not privileged"] == f"no: it is in the group {group}"
