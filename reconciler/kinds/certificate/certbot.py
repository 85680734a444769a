"""certbot's folder: where it keeps a lineage, and the steps that repair one without an order."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from posixpath import join, normpath
from typing import Any

from reconciler import x509
from reconciler.kinds.certificate.pair import NAMES
from reconciler.kinds.paths import NEW, into_place
from reconciler.model import CannotSee, Question, Step, quote
from reconciler.questions.files import StatQuestion
from reconciler.questions.system import CommandQuestion, CommandResult
from reconciler.questions.tls import CertificatesQuestion

GOOD = (
    'good() { for f in regr meta private_key; do [ "$(tail -c 1 "$1/$f.json" 2>/dev/null)" = "}" ]'
    " || return 1; done; }"
)
"""Shell: whether a folder has the three files of an account, each to its end (what a power cut or a full
disk leaves is empty or cut off); `f` is the one that is not so."""

FORMER = "/var/lib/reconciler/former-$(date -u +%Y%m%d-%H%M%S)"
"""Where what certbot cannot work with is kept, as a shell word."""

NO_FILE = " is no file but a "

PARTS = ("cert", "chain")
"""Of certbot's files, those that hold a part of what fullchain.pem does."""

_NUMBERS = r"sed -n 's/^privkey\([0-9]*\)\.pem$/\1/p' | sort -n | tail -n 1"
"""Shell: of what an archive has, the number of the newest version."""

UNSAID: Mapping[str, str] = {"elliptic_curve": "secp256r1"}
"""What holds where the renewal file does not say it: a renewal leaves out what is certbot's default
(constants.py, CLI_DEFAULTS)."""

Renewal = Iterable[tuple[str, str | None]]
"""Keys and values of certbot's renewal file; without a value: a key that is not there."""


@dataclass(frozen=True)
class CertbotLineage:
    """A lineage in certbot's configuration folder, under the router's name."""

    folder: str
    router: str

    @property
    def live(self) -> str:
        """The links to the newest version of the pair."""
        return f"{self.folder}/live/{self.router}"

    @property
    def archive(self) -> str:
        """Every version of the pair, numbered from 1."""
        return f"{self.folder}/archive/{self.router}"

    @property
    def conf(self) -> str:
        """How certbot renews it: a file of sections with `key = value`."""
        return f"{self.folder}/renewal/{self.router}.conf"

    def questions(self) -> Mapping[str, Question]:
        """What to ask about its links, versions and files; `links`, `versions` and `files` read that."""
        return {
            "live": StatQuestion(self.live),
            **{name: CertificatesQuestion(f"{self.live}/{name}.pem") for name in PARTS},
            # The newest are enough: certbot keeps every version, and an answer has 3000 characters.
            "versions": CommandQuestion(
                f"listed=$(ls {quote(self.archive)}) || exit 2; printf '%s\\n' \"$listed\""
                " | sed -n '/^privkey[0-9]*[.]pem$/p' | sort -V | tail -n 5;"
                # After that, for certbot may bring another meanwhile.
                f" cd {quote(self.live)} 2>/dev/null && for f in {' '.join(NAMES)}; do"
                ' printf "now %s %s\\n" $f "$(readlink $f.pem)";'
                ' if [ -e $f.pem ]; then [ -f $f.pem ] || echo "odd $f $(stat -L -c %F $f.pem)";'
                ' elif [ -L "$(readlink $f.pem)" ]; then echo "odd $f link that leads nowhere"; fi; done; :'
            ),
        }

    def account_question(self, server: str, second: str | None = None) -> CommandQuestion:
        """Whether the account with which the lineage is renewed is there, at the CA or at a second one where
        the renewal file names that; `account` reads the answer.

        certbot fails where the account that the renewal file names is missing, or one of its three files
        cannot be read; where it names none, it takes the only one (its main.py, _determine_account, and
        account.py, which looks below the server of ACME v1 too).
        """
        if second:
            either = (self.account_question(each).command for each in (second, server))
            named = f"grep -qxF {quote(f'server = {second}')} {quote(self.conf)} 2>/dev/null"
            return CommandQuestion(f"if {named}; then {{ {' ; }; else { '.join(either)} ; }}; fi")
        accounts = quote(f"{self.folder}/accounts")
        ours, earlier = quote(self._accounts(server)), quote(self._accounts(server, "v01"))
        return CommandQuestion(
            f"cd {ours} 2>/dev/null || cd {earlier} 2>/dev/null"
            f" || {{ [ -x {accounts} ] || [ ! -e {accounts} ] || exit 77;"
            f" echo {ours} is missing; exit 1; }}; {GOOD};"
            f" id=$(sed -n 's/^account *= *\\([0-9a-f]*\\)$/\\1/p' {quote(self.conf)} | tail -n 1);"
            ' if [ "$id" ]; then good "$id" || { echo "$PWD/$id/$f.json is missing or incomplete"; exit 1; };'
            ' else n=0; for each in */; do ! good "${each%/}" || n=$((n + 1)); done;'
            f" [ $n = 1 ] || {{ echo {quote(self.conf)} names none, and $PWD has $n; exit 1; }}; fi"
        )

    def _accounts(self, server: str, version: str = "v02") -> str:
        return f"{self.folder}/accounts/{server.partition('://')[2].replace('-v02.', f'-{version}.')}"

    def set_accounts_aside(self, server: str) -> Step:
        """Moves accounts with a file that certbot cannot read to a folder of ours: it ends with an error
        at the first of them, also where it needs another (account.py, find_all)."""
        return Step(
            f"umask 077; {GOOD}; d={FORMER}; for each in {quote(self._accounts(server))}/*/; do"
            ' [ ! -d "$each" ] || good "${each%/}" ||'
            ' { mkdir -p $d/accounts && mv "${each%/}" $d/accounts/; } || exit 1; done',
            "certbot cannot work with an account that is not whole; it is kept",
        )

    def mend_account(self, server: str, contact: str | None) -> Iterable[Step]:
        """Lets the lineage be renewed with an account that is there, a new one if there is none."""
        mail = f"-m {quote(contact)}" if contact else "--register-unsafely-without-email"
        find = (
            f"{GOOD}; d=; for each in {quote(self._accounts(server))}/*/; do"
            ' ! good "${each%/}" || d=${each%/}; done'
        )
        yield Step(
            f'{find}; [ "$d" ] || certbot register -n --agree-tos {mail}'
            f" --config-dir {quote(self.folder)} --server {quote(server)}",
            "registers another account at the CA, unless a whole one is there",
            minutes=5,
        )
        new = quote(self.conf + NEW)
        yield Step(
            f'{find}; [ "$d" ] && cp -p --remove-destination {quote(self.conf)} {new}'
            f" && sed -i -e '/^account *=/d' -e \"/^[[]renewalparams[]]/a account = ${{d##*/}}\" {new}"
            f" && {into_place(self.conf + NEW, self.conf)}",
            "lets the next renewal use it",
        )

    def rewrite(self, renewal: Renewal) -> Iterable[Step]:
        """Writes the renewal file anew; what was there is kept beside it, where certbot does not read it."""
        conf, new = quote(self.conf), quote(self.conf + NEW)
        yield Step(f"cp -p {conf} {conf}.$(date -u +%Y%m%d-%H%M%S)", "keeps the one that is there")
        yield Step(
            f"install -m 0644 /dev/stdin {new} && {into_place(self.conf + NEW, self.conf)}",
            "tells certbot how to renew it; nothing is ordered",
            stdin=self._conf_text(renewal),
            public=True,
        )

    def conf_fault(self, conf: bytes) -> str | None:
        """Why certbot would pass over the lineage when it renews; None where it would not.

        Its storage.py (RenewableCert) and renewal.py (_reconstitute) say what it demands of the file.
        """
        try:
            sections = parse_conf(conf)
        except ValueError as error:
            return str(error)
        wanted = {name: f"{self.live}/{name}.pem" for name in NAMES} | {"archive_dir": self.archive}
        for name, path in wanted.items():
            if (found := sections[""].get(name, "" if name in NAMES else path)) != path:
                return f"{name} is {found or 'not there'}; it has to be {path}"
        return None if "renewalparams" in sections else "the section [renewalparams] is not there"

    def links(self, answers: Mapping[str, Any], versions: list[int]) -> str:
        """Whether the four links all lead to the newest version, in the folder of the lineage: certbot does
        not renew it where one leads elsewhere (storage.py, consistent)."""
        newest = max(versions, default=0)
        said = (line.split(" ", 2) for line in answers["versions"].output.splitlines())
        now = {words[1]: words[2] for words in said if words[0] == "now" and len(words) == 3}
        targets = {name: now.get(name, "") for name in NAMES}
        found = {name: self._version(name, target) for name, target in targets.items()}
        # One that came after the versions were listed is newer than all of them.
        if len(set(found.values())) == 1 and (found["cert"] or 0) > newest:
            return "newest"
        for name, version in found.items():
            if version != newest:
                return f"{name}.pem leads to {targets[name] or 'no version'}; the newest version is {newest}"
        return "newest"

    def _version(self, name: str, target: str) -> int | None:
        """Which version a link leads to; None where that is none of the lineage's folder."""
        path = re.escape(f"{self.archive}/{name}")
        match = re.fullmatch(rf"{path}([0-9]+)\.pem", normpath(join(self.live, target)))
        return int(match[1]) if match else None

    def files(self, answers: Mapping[str, Any], versions: list[int]) -> str | None:
        """Whether cert.pem and chain.pem of the newest version are the leaf of fullchain.pem and the rest:
        "whole", or which is not so; None where that could not be seen. certbot renews nothing where one is
        missing (storage.py, consistent), and reads from cert.pem until when it is good. What is said of one
        with something else in its place has `NO_FILE` in it."""
        whole = x509.chain(answers["fullchain"])
        no_files = dict(re.findall(r"^odd (\w+) (.+)$", answers["versions"].output, re.MULTILINE))
        for name, wanted in zip(PARTS, (whole[:1], whole[1:]), strict=True):
            text: str | None | CannotSee = answers[name]
            path = f"{self.archive}/{name}{max(versions, default=0)}.pem"
            if name in no_files:
                return f"{path}{NO_FILE}{no_files[name]}"
            if isinstance(text, CannotSee):
                return None
            if text is None:
                return f"{path} is missing"
            try:
                found = x509.chain(text) if text or wanted else ()
            except x509.Unreadable as error:
                return f"{path} is unreadable: {error}"
            if found != wanted:
                return f"{path} is not of the same certificate as fullchain.pem"
        return "whole"

    def restore_files(self) -> Step:
        """Makes cert.pem and chain.pem of the newest fullchain.pem, which certbot has written as the one
        followed by the other (storage.py, save_successor)."""
        return Step(
            f"cd {quote(self.archive)} && umask 022 && n=$(ls | {_NUMBERS}) &&"
            f" sed '/^-----END CERT/q' fullchain$n.pem >cert$n.pem{NEW} &&"
            f" sed '1,/^-----END CERT/d' fullchain$n.pem >chain$n.pem{NEW} &&"
            f" for f in {' '.join(PARTS)}; do"
            f" sync $f$n.pem{NEW} && mv -T $f$n.pem{NEW} $f$n.pem || exit 1; done && sync .",
            "makes certbot's other files of fullchain.pem, which is whole",
        )

    def relink(self) -> Step:
        """The highest number wins, as in certbot's next run (its storage.py, ensure_deployed)."""
        live, archive = quote(self.live), quote(self.archive)
        return Step(
            f"n=$(ls {archive} | {_NUMBERS}) &&"
            f" for f in {' '.join(NAMES)}; do ln -s -f -n ../../archive/{quote(self.router)}/$f$n.pem"
            f" {live}/$f.pem || exit 1; done",
            "points certbot's links to its newest version, as its next run would",
        )

    def add(self, source: str) -> Iterable[Step]:
        """Makes the pair in the folder `source` the newest version; those that are there stay."""
        archive, names = quote(self.archive), " ".join(NAMES)
        yield Step(
            f"cd {archive} && n=$(ls | {_NUMBERS}) && n=$((n + 1)) && for f in {names}; do"
            f" m=0644; [ $f != privkey ] || m=0600; install -m $m {quote(source)}/$f.pem $f$n.pem"
            " || exit 1; done && sync *$n.pem .",
            "adds the certificate in use, which is newer, to certbot's versions: nothing is ordered",
        )
        yield self.relink()

    def set_renewal(self, renewal: Renewal) -> Step:
        """Sets these keys in the renewal file, and leaves its other lines."""
        # Each key is removed wherever it is and added once right below the header of its section.
        edits = " ".join(
            f"-e {quote(f'/^{key} = /d')}"
            + (f" -e {quote(f'/^[[]renewalparams[]]/a {key} = {value}')}" if value is not None else "")
            for key, value in renewal
        )
        new = quote(self.conf + NEW)
        return Step(
            f"cp -p --remove-destination {quote(self.conf)} {new} && sed -i {edits} {new}"
            f" && {into_place(self.conf + NEW, self.conf)}",
            "sets how certbot renews it",
        )

    def register(self, server: str, contact: str | None) -> Step:
        """Registers this host at the CA, unless it has an account there."""
        folder = quote(self.folder)
        mail = f"-m {quote(contact)}" if contact else "--register-unsafely-without-email"
        return Step(
            f"certbot show_account -n --config-dir {folder} --server {quote(server)} >/dev/null 2>&1"
            f" || certbot register -n --agree-tos {mail} --config-dir {folder} --server {quote(server)}",
            "makes sure that this host has an account at the CA",
            minutes=5,
        )

    def take_over(self, source: str, renewal: Renewal) -> Iterable[Step]:
        """Makes a lineage of the pair in the folder `source`, as certbot would have left it
        (certbot docs, "Where are my certificates?"); nothing is ordered."""
        live, archive = quote(self.live), quote(self.archive)
        folder, spare = quote(self.folder), quote(source)
        names = " ".join(NAMES)
        yield Step(
            f"umask 077; mkdir -p {folder}/live {folder}/archive {folder}/renewal"
            f" && install -d -m 0755 {live} {archive} && for f in {names}; do"
            f" m=0644; [ $f != privkey ] || m=0600; install -m $m {spare}/$f.pem {archive}/${{f}}1.pem"
            f" && ln -s -f -n ../../archive/{quote(self.router)}/${{f}}1.pem {live}/$f.pem || exit 1; done",
            "makes a lineage of the certificate in use, which is good: nothing is ordered",
        )
        yield Step(
            f"install -m 0644 /dev/stdin {quote(self.conf)}",
            "tells certbot how to renew it",
            stdin=self._conf_text(renewal),
            public=True,
        )

    def _conf_text(self, renewal: Renewal) -> str:
        files = "".join(f"{name} = {self.live}/{name}.pem\n" for name in NAMES)
        remembered = "".join(f"{key} = {value}\n" for key, value in renewal if value is not None)
        return f"version = 2.1.0\narchive_dir = {self.archive}\n{files}[renewalparams]\n{remembered}"

    def set_aside(self, why: str) -> Step:
        """Moves all that certbot has of the lineage to a folder of ours with the date in its name."""
        name, folder = quote(self.router), quote(self.folder)
        parts = f"renewal/{name}.conf live/{name} archive/{name}"
        return Step(
            f"umask 077; d={FORMER}; mkdir -p $d && for p in {parts}; do"
            f" [ ! -e {folder}/$p ] && [ ! -L {folder}/$p ] ||"
            f" {{ mkdir -p $d/${{p%%/*}} && mv {folder}/$p $d/$p; }} || exit 1; done",
            why,
        )


def parse_conf(conf: bytes) -> dict[str, dict[str, str]]:
    """The keys and values of a renewal file by section; those above the first section are in "".

    The part of ConfigObj's format that certbot writes. Raises ValueError, which
    says what is wrong, and in which line.
    """
    try:
        text = conf.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    sections: dict[str, dict[str, str]] = {"": {}}
    current = sections[""]
    for number, line in enumerate(text.split("\n"), 1):
        bare = line.strip()
        if not bare or bare.startswith("#"):
            continue
        if header := re.fullmatch(r"\[+\s*([^\[\]]+?)\s*\]+\s*(#.*)?", bare):
            if header[1] in sections:
                raise ValueError(f"line {number}: the section [{header[1]}] is there twice")
            current = sections[header[1]] = {}
        elif pair := re.fullmatch(r"([^=\x00]+?)\s*=\s*(.*)", bare):
            if pair[1] in current:
                raise ValueError(f"line {number}: {pair[1]} is there twice")
            current[pair[1]] = pair[2]
        else:
            raise ValueError(f"line {number} is neither `[section]` nor `key = value`")
    return sections


def account(answers: Mapping[str, Any]) -> str | None:
    """Whether the account is "there", or what is wrong with it, from the answer to `account_question`;
    None where that could not be seen."""
    found: CommandResult | CannotSee = answers["account"]
    if isinstance(found, CannotSee) or found.status not in (0, 1):
        return None
    return "there" if found.status == 0 else found.output


def versions(answers: Mapping[str, Any]) -> list[int] | CannotSee:
    """The numbers of the newest versions that certbot keeps; none where its folder is not there.

    `ls` exits with 2 for a folder that is not there and for one that it may not read.
    """
    listed: CommandResult | CannotSee = answers["versions"]
    if isinstance(listed, CannotSee):
        return listed
    if listed.status != 0 and "No such file" not in listed.output:
        return CannotSee(f"certbot's versions could not be listed: {listed.output or listed.status}")
    numbers = [
        name.removeprefix("privkey").removesuffix(".pem")
        for line in listed.output.splitlines()
        for name in ([] if line.startswith("now ") else line.split())
        if name.startswith("privkey") and name.endswith(".pem")
    ]
    return [int(number) for number in numbers if number.isdigit()]
