"""The question what an account may do in effect."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model import CannotSee, quote
from reconciler.questions.files import IS_ROOT, NO_ANSWER, each_record


@dataclass(frozen=True)
class WritableQuestion:
    """Whether an account can write into a folder: "" if it can, else the path that denies it, with the
    entries of its ACL that are about the account, or its mode; None without the folder or the account.

    setpriv(1) becomes the account with its groups, without PAM; `test` asks the kernel (access(2)).
    """

    path: str
    account: str

    @classmethod
    def script(cls, questions: list[WritableQuestion]) -> str:
        return "\n".join(map(cls._script, questions))

    def _script(self) -> str:
        parts = self.path.strip("/").split("/")
        above = ["/" + "/".join(parts[: count + 1]) for count in range(len(parts) - 1)]
        path, account = quote(self.path), quote(self.account)
        tests = "; ".join(f"test -x {folder} || {{ echo {folder}; exit; }}" for folder in map(quote, above))
        test = f"{tests}; test -w {path} && test -x {path} || echo {path}"
        mine = quote(f"^(user:{self.account}|group:|group:.*|mask:|mask:.*):")
        return f"""if ! {IS_ROOT}; then echo hidden
elif [ ! -d {path} ] || ! id {account} >/dev/null 2>&1; then echo missing
else g=$(id -g {account})
d=$(setpriv --reuid {account} --regid "$g" --init-groups sh -c {quote(test.lstrip("; "))})
if [ "$d" ]; then printf '%s %s' "$d" "$(stat -c '(%U:%G %a' -- "$d")"
getfacl -pE -- "$d" 2>/dev/null | grep -E {mine} | sed 's/^/, /' | tr -d '\\n'; echo ')'; fi; echo done; fi
printf '\\0'"""

    @classmethod
    def parse(cls, output: bytes, questions: list[WritableQuestion]) -> list[str | None | CannotSee]:
        return each_record(output, questions, _denied)


def _denied(text: str) -> str | None | CannotSee:
    lines = text.splitlines()
    if lines == ["missing"]:
        return None
    if lines == ["hidden"]:
        return CannotSee("only root can try what another account may do")
    if lines[-1:] != ["done"]:
        return NO_ANSWER
    return " ".join(lines[:-1])
