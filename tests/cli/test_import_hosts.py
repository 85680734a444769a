"""`init` and `import` as commands: what is asked, what is written, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.cli import new_file
from reconciler.cli.app import run
from reconciler.cli.init import QUESTIONS
from reconciler.diagnosis.machine import Addresses, Machine, Unresolved
from reconciler.environment.load import load
from reconciler.environment.settings import HostSsh
from reconciler.fleet.reply import NoAnswer
from tests.support.scripted import Scripted
from tests.support.workplace import Scene

INIT = ["init", "--name", "mine", "--router", "cn.example.org", "--host", "a.example.org=10.0.0.1"]
IMPORT = ["import", "--name", "mine", "--host", "a.example.org", "--host", "b.example.org"]
DNS = {"a.example.org": ["10.0.0.1"], "cn.example.org": ["10.0.0.1", "10.0.0.2", "10.0.0.9"]}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, and at home."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def hosts() -> Scene:
    """Two hosts that answer, and tell nothing; the DNS knows one of them, and the router."""

    def resolve(name: str) -> Addresses:
        return DNS.get(name, Unresolved("Name or service not known", certain=True))

    scripted = {name: Scripted(name) for name in ("a.example.org", "b.example.org")}
    return Scene(scripted, more={"machine": lambda: Machine(resolve=resolve)})


def ssh_config(here: Path, text: str) -> None:
    (here / ".ssh").mkdir(mode=0o700)
    (here / ".ssh" / "config").write_text(text)


def test_init_writes_a_file_that_is_valid(here: Path, capsys: pytest.CaptureFixture) -> None:
    more = ["--host", "b.example.org", "--primary", "b.example.org", "--user", "ops", "--identity", "key"]
    more += ["--postgresql", "15", "--administrators", "x@example.org", "--known-hosts", "~/.ssh/known"]
    assert run([*INIT, *more]) == 0
    assert "environments/mine.yaml: written" in capsys.readouterr().err
    assert run(["validate", "mine"]) == 0
    path = here / "environments" / "mine.yaml"
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# yaml-language-server: $schema=https://")
    made = load(str(path))
    assert (made.primary.name, made.hosts[0].address) == ("b.example.org", "10.0.0.1")
    assert made.ssh.identity == str(here / "environments" / ".." / "key")
    assert (made.ssh.user, made.services.postgresql) == ("ops", "15")
    assert "\n  port:" not in text


def test_a_port_that_only_the_configuration_of_ssh_knows_is_written_for_the_peers(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(here))
    (here / ".ssh").mkdir()
    (here / ".ssh" / "config").write_text("Host a.*\n Port 2222\n User me\n")
    for number, more in enumerate(([], ["--port", "2200"])):
        assert run([*INIT, *more, "-o", f"{number}.yaml"]) == 0
    assert "    ssh:\n      port: 2222\n" in (here / "0.yaml").read_text()
    assert "2222" not in (here / "1.yaml").read_text()
    assert load(str(here / "0.yaml")).hosts[0].ssh == HostSsh(port=2222)


def test_nothing_is_overwritten(here: Path, hosts: Scene, capsys: pytest.CaptureFixture) -> None:
    path = here / "e.yaml"
    path.write_text("mine")
    (here / "link.yaml").symlink_to("nowhere")
    for command in (INIT, IMPORT):
        for name in ("e.yaml", "link.yaml"):
            assert hosts.run([*command, "-o", name]) == 64
            assert f"{name}: exists already, and is never overwritten" in capsys.readouterr().err
    assert (path.read_text(), (here / "nowhere").exists()) == ("mine", False)
    assert all(host.scripts == [] for host in hosts.hosts.values())


def test_init_asks_on_a_terminal_for_what_no_flag_gives(
    here: Path, hosts: Scene, capsys: pytest.CaptureFixture
) -> None:
    hosts.answers = ["mine", "cn.example.org", "a.example.org b.example.org=10.0.0.2", "", "ops", "", "15"]
    assert hosts.run(["init", "-o", "e.yaml"]) == 0
    out = capsys.readouterr().out
    assert [each.text for each in QUESTIONS if each.text not in out] == []
    made = load(str(here / "e.yaml"))
    assert (made.name, made.primary.name, made.ssh.user) == ("mine", "a.example.org", "ops")
    assert (made.hosts[1].address, made.services.tomcat) == ("10.0.0.2", None)
    assert made.certificate.administrators is None


def test_init_asks_again_and_keeps_the_other_answers(
    here: Path, hosts: Scene, capsys: pytest.CaptureFixture
) -> None:
    hosts.answers = ["", "m y", "mine", "cn.example.org", "a_b!", "a.example.org", "b", "", "ops"]
    assert hosts.run(["init", "-o", "e.yaml"]) == 0
    err = capsys.readouterr().err
    assert err.startswith("an answer is needed\n")
    assert '"m y" is not a name of letters' in err
    assert "--primary b: is not one of the hosts" in err
    made = load(str(here / "e.yaml"))
    assert (made.name, made.primary.name, made.ssh.user) == ("mine", "a.example.org", "ops")


def test_init_offers_what_ssh_knows_and_tells_where_the_names_lead(
    here: Path, hosts: Scene, capsys: pytest.CaptureFixture
) -> None:
    (here / "more").write_text("Host b.example.org a.example.org\n")
    ssh_config(
        here,
        "Host *.example.org !x.example.org\n Port 22\nHost git.example.net 10.0.0.7 alias\n"
        "Host cn.example.org\nHost a.example.org\n Include ~/more\n",
    )
    hosts.answers = ["mine", "cn.example.org", ""]
    assert hosts.run(["init", "-o", "e.yaml"]) == 0
    captured = capsys.readouterr()
    assert "(NAME or NAME=ADDRESS; empty: a.example.org b.example.org): " in captured.out
    told = (
        "~/.ssh/config names git.example.net",
        "DNS: a.example.org is 10.0.0.1",
        "DNS: b.example.org has no address here: Name or service not known",
        (
            "DNS: cn.example.org, the router, leads to 10.0.0.1 (a.example.org), 10.0.0.2 (none of these hosts),"
            " 10.0.0.9 (none of these hosts)"
        ),
        (
            "e.yaml: written; next: `reconcile validate e.yaml`, `reconcile doctor e.yaml`,"
            " then `reconcile plan e.yaml`"
        ),
    )
    assert captured.err.splitlines() == list(told)
    assert [host.name for host in load("e.yaml").hosts] == ["a.example.org", "b.example.org"]


def test_init_takes_given_addresses_for_where_the_router_leads(
    here: Path, hosts: Scene, capsys: pytest.CaptureFixture
) -> None:
    ssh_config(here, "Host\n")
    hosts.answers = ["mine", "cn.example.org", "b.example.org=10.0.0.2 a.example.org=10.0.0.9"]
    assert hosts.run(["init", "-o", "e.yaml"]) == 0
    err = capsys.readouterr().err
    assert err.startswith(f"{here}/.ssh/config:1: `host` lacks its value\n")
    assert (
        "leads to 10.0.0.1 (none of these hosts), 10.0.0.2 (b.example.org), 10.0.0.9 (a.example.org)" in err
    )


def test_import_asks_for_the_hosts_and_says_what_comes_next(
    here: Path, hosts: Scene, capsys: pytest.CaptureFixture
) -> None:
    ssh_config(here, "Host a.example.org\n")
    hosts["a.example.org"].error = NoAnswer("a", "it is down")
    hosts.answers = [""]
    assert hosts.run(["import", "--router", "cn.example.org"]) == 3
    captured = capsys.readouterr()
    assert "; empty: a.example.org): " in captured.out
    assert "DNS: a.example.org is 10.0.0.1\n" in captured.err
    assert "a.example.org could not be looked at: it is down" in captured.err
    hosts.answers = []
    assert hosts.run(["import", "--name", "x"]) == 64
    assert "--host: no valid answer in 5 tries; nothing was written" in capsys.readouterr().err
    hosts.answers = ["b.example.org"]
    assert hosts.run(["import", "--json"]) == 64


def test_import_asks_again_and_for_what_the_hosts_do_not_show(
    here: Path, hosts: Scene, capsys: pytest.CaptureFixture
) -> None:
    """A bad answer is asked for again, and no good one is lost."""
    hosts.answers = [
        "",
        "",
        "a_b!",
        "a.example.org",
        "o ps",
        "ops",
        "m y",
        "mine",
        "no name",
        "cn.example.org",
    ]
    assert hosts.run(["import"]) == 3
    captured = capsys.readouterr()
    asked = ["(empty: as the hosts show it)", "Hosts, sep", "Hosts, sep", "Hosts, sep", "Account", "Account"]
    asked += ["Name of the env", "Name of the env", "(the router): ", "(the router): "]
    places = [captured.out.index(asked[0])]
    for each in asked[1:]:
        places.append(captured.out.index(each, places[-1] + 1))
    assert captured.err.startswith("an answer is needed\n")
    for why in ('"a_b!" is not a host', '"o ps"', "name the new one with --name", '"m y" is not a name of'):
        assert why in captured.err
    assert "no host shows the router's name" in captured.err
    assert captured.err.endswith(
        "environments/mine.yaml: written; next: `reconcile doctor environments/mine.yaml`,"
        " then `reconcile plan environments/mine.yaml`\n"
    )
    made = load("environments/mine.yaml")
    assert (made.router, made.hosts[0].name, made.ssh.user) == ("cn.example.org", "a.example.org", "ops")


def test_import_with_hosts_given_asks_only_for_what_they_do_not_show(
    here: Path, hosts: Scene, capsys: pytest.CaptureFixture
) -> None:
    hosts.answers = ["cn.example.org"]
    assert hosts.run([*IMPORT, "-o", "e.yaml"]) == 3
    assert capsys.readouterr().out.startswith("Name in front of all hosts (the router): ")
    assert load("e.yaml").router == "cn.example.org"
    hosts.answers = ["cn.example.org"]
    assert hosts.run([*IMPORT, "--json", "-o", "f.yaml"]) == 64, "a document is no place for questions"
    assert "give it with --router; nothing was written" in capsys.readouterr().err


def test_init_does_not_ask_for_ever(here: Path, hosts: Scene, capsys: pytest.CaptureFixture) -> None:
    hosts.answers = []
    assert hosts.run(["init", "-o", "e.yaml"]) == 64
    assert capsys.readouterr().err.endswith("--name: no valid answer in 5 tries; nothing was written\n")
    assert list(here.glob("*.yaml")) == []


def test_init_without_a_terminal_says_which_flag_is_missing(
    here: Path, capsys: pytest.CaptureFixture
) -> None:
    assert run(["init", "--name", "mine", "--router", "r"]) == 64
    assert capsys.readouterr().err == "--host is required: there is no terminal to ask on\n"
    assert run([*INIT, "--primary", "nowhere"]) == 64
    assert "--primary nowhere: is not one of the hosts given with --host" in capsys.readouterr().err
    assert not (here / "environments").exists()


def test_what_init_is_told_is_checked_before_it_stays(here: Path, capsys: pytest.CaptureFixture) -> None:
    assert run(["init", "-o", "e.yaml", "--name", "m y", "--router", "r", "--host", "a b"]) == 64
    err = capsys.readouterr().err
    assert err.startswith("nothing was written:\n")
    assert '"m y" is not a name of letters' in err
    assert not (here / "e.yaml").exists()
    assert run([*INIT, "-o", "no/folder/e.yaml"]) == 71
    assert "cannot be written (No such file or directory)" in capsys.readouterr().err


def test_import_of_a_host_that_is_away_writes_nothing(
    here: Path, hosts: Scene, capsys: pytest.CaptureFixture
) -> None:
    hosts["b.example.org"].error = NoAnswer("b", "it is down; is it up?")
    assert hosts.run(IMPORT) == 3
    err = capsys.readouterr().err
    assert "b.example.org could not be looked at: it is down; is it up?\nnothing was written" in err
    assert not (here / "environments").exists()


def test_import_without_a_router_to_be_found_writes_nothing(
    here: Path, hosts: Scene, capsys: pytest.CaptureFixture
) -> None:
    assert hosts.run(IMPORT) == 64
    err = capsys.readouterr().err
    assert "no host shows the router's name" in err
    assert "give it with --router; nothing was written" in err
    assert [len(host.scripts) for host in hosts.hosts.values()] == [1, 1]  # one exchange with each


def test_import_says_what_it_could_not_see(here: Path, hosts: Scene, capsys: pytest.CaptureFixture) -> None:
    hosts["a.example.org"].root = False
    assert hosts.run([*IMPORT, "--router", "cn.example.org", "-o", "e.yaml"]) == 3
    captured = capsys.readouterr()
    assert "a.example.org: looked without root" in captured.err
    assert "# a.example.org: observed without root" in captured.out
    text = (here / "e.yaml").read_text(encoding="utf-8")
    assert "# the primary cannot be found out: certbot's lineage is on none of them" in text
    assert load("e.yaml").primary.name == "a.example.org"


def test_what_is_imported_to_stdout_is_the_file_and_nothing_else(
    here: Path, hosts: Scene, capsys: pytest.CaptureFixture
) -> None:
    assert hosts.run([*IMPORT, "--router", "cn.example.org", "-o", "-"]) == 3
    captured = capsys.readouterr()
    assert list(here.glob("*.yaml")) == []
    (here / "e.yaml").write_text(captured.out)
    assert load("e.yaml").name == "mine"
    assert "# hosts: the primary cannot be found out" in captured.err


def test_import_says_what_comes_next_and_when_quiet_only_what_is_unknown(
    here: Path, hosts: Scene, capsys: pytest.CaptureFixture
) -> None:
    command = [*IMPORT, "--router", "cn.example.org", "-o"]
    assert hosts.run([*command, "e.yaml"]) == 3
    captured = capsys.readouterr()
    assert captured.err == "e.yaml: written; next: `reconcile doctor e.yaml`, then `reconcile plan e.yaml`\n"
    assert "The first plan of mine is empty" in captured.out
    assert hosts.run([*command, "f.yaml", "-q"]) == 3
    captured = capsys.readouterr()
    assert captured.err == ""
    assert {line[:2] for line in captured.out.splitlines()} == {"# ", "? "}


@pytest.mark.parametrize(
    "arguments",
    [
        ["import"],
        ["import", "--name", "x"],
        ["import", "--host", "a.example.org"],  # nothing there says what it is called
        [*IMPORT, "--primary", "nowhere"],
        [*IMPORT, "--port", "0"],
        [*IMPORT, "--roots", "none.pem"],
        [*IMPORT, "--router", "no name", "-o", "e.yaml"],
    ],
)
def test_mistyping_ends_with_64(
    arguments: list[str], here: Path, hosts: Scene, capsys: pytest.CaptureFixture
) -> None:
    assert hosts.run(arguments) == 64
    assert capsys.readouterr().err


def test_whose_fault_it_is_and_what_was_expected(
    here: Path, hosts: Scene, capsys: pytest.CaptureFixture
) -> None:
    assert hosts.run([*IMPORT, "--roots", "none.pem"]) == 64
    assert (
        capsys.readouterr().err
        == "--roots none.pem: is not a file; expected the CA's root certificates as PEM\n"
    )
    assert hosts.run([*IMPORT, "--primary", "nowhere"]) == 64
    assert capsys.readouterr().err == "--primary nowhere: is not one of the hosts given with --host\n"
    assert hosts.run([*IMPORT, "--router", "no name", "-o", "e.yaml"]) == 64
    err = capsys.readouterr().err
    assert err.startswith("e.yaml: written with what the hosts show, but it is not valid yet; correct it")
    assert '"no name" is not a host name' in err
    assert err.endswith("then `reconcile validate e.yaml`\n")


def test_editors_find_the_schema_from_where_the_file_lies(here: Path) -> None:
    root = Path(new_file.__file__).parent.parent.parent
    assert new_file.schema_address(root / "environments" / "x.yaml") == "../schemas/environment.schema.json"
    assert new_file.schema_address(here / "x.yaml") == new_file.SCHEMA
