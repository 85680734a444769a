"""What would undo a run, and what has no way back."""

from __future__ import annotations

from dataclasses import replace

from reconciler.journal.undo import inverse
from reconciler.kinds.account import Account
from reconciler.kinds.file import File
from reconciler.kinds.package import Package
from reconciler.kinds.service import Service
from reconciler.model import Ref


def test_each_thing_has_its_way_back_or_a_reason() -> None:
    file = File(host="a", path="/x", content="new")
    account = Account(host="a", account="ada")
    package = Package(host="a", package="curl")
    same = File(host="a", path="/same", content="same")
    service = Service(host="a", unit="cron")
    done = {
        file.ref: "change",
        account.ref: "create",
        package.ref: "change",
        same.ref: "change",
        service.ref: "reload",
        Ref("a", "serving", "r"): "reload",
    }
    old = replace(file, content="old")
    found = inverse(done, [file, account, package, same, service], [old, same, service])
    assert found.resources == (old, replace(account, absent=True))
    assert set(map(str, found.without)) == {"a package curl", "a file /same", "a service cron", "a serving r"}
    assert "repaired" in found.without[same.ref]


def test_what_was_taken_out_of_the_yaml_comes_back_as_it_was() -> None:
    before = File(host="a", path="/x", content="old")
    gone = replace(before, absent=True, content=None)
    assert inverse({gone.ref: "remove"}, [gone], [before]).resources == (before,)
