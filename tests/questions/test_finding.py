"""Questions about files that a pattern names."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from reconciler.model import CannotSee
from reconciler.questions.finding import HIDDEN, LeavesQuestion, LinesQuestion
from tests.discovery.surveys import ask
from tests.support import forged


def leaf(*names: str) -> str:
    """A certificate for these names, as PEM."""
    return forged.pem(forged.signed("x", ec.generate_private_key(ec.SECP256R1()), None, names=names))


def test_lines_of_files_that_a_pattern_names_and_nothing_else_of_them(tmp_path: Path) -> None:
    folder = tmp_path / "it's $(touch x); [a] "
    (folder / "1").mkdir(parents=True)
    (folder / "1" / "x.conf").write_text("password = secret\n  SSL = on \n#ssl = off\nssl =\0 odd\n")
    (folder / "2").mkdir()
    (folder / "2" / "x.conf").write_text("nothing here")
    pattern = f"{folder}/*/x.conf"
    found, none, nowhere = ask(
        LinesQuestion(pattern, "^[[:space:]]*ssl *="),
        LinesQuestion(pattern, "^never"),
        LinesQuestion(f"{tmp_path}/no/*", "."),
    )
    path = f"{folder}/1/x.conf"
    assert found == ((path, "SSL = on"), (path, "ssl = odd"))
    assert (none, nowhere) == ((), ())
    assert not (Path.cwd() / "x").exists()


def test_an_answer_that_did_not_come_whole_is_none() -> None:
    questions = [LinesQuestion("/a/*", "."), LinesQuestion("/b/*", ".")]
    assert LinesQuestion.parse(b"x:y\n\0end\0\n\0hidden\0\n", questions) == [(("x", "y"),), HIDDEN]
    for output in (b"", b"x:y\n\0end\0\n", b"x:y\n\0odd\0\n\0en"):
        assert all(isinstance(each, CannotSee) for each in LinesQuestion.parse(output, questions))
    assert isinstance(LeavesQuestion.parse(b"= /x\n", [LeavesQuestion("/a/*")])[0], CannotSee)


def test_only_the_first_certificate_of_a_file_leaves_the_host(tmp_path: Path) -> None:
    pem = leaf()
    (tmp_path / "one.pem").write_text(f"-----BEGIN PRIVATE KEY-----\n/secret\n{pem}{pem}")
    (found,) = ask(LeavesQuestion(f"{tmp_path}/*.pem"))
    assert found == ((f"{tmp_path}/one.pem", pem),)


def test_of_a_certificate_that_does_not_end_nothing_leaves_the_host_that_comes_after(tmp_path: Path) -> None:
    cut = "".join(leaf().splitlines(keepends=True)[:3])
    key = "-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----\n"
    (tmp_path / "one.pem").write_text(cut + key)
    (found,) = ask(LeavesQuestion(f"{tmp_path}/*.pem"))
    assert found == ((f"{tmp_path}/one.pem", cut),)
