"""The forms for other programs: Prometheus, Markdown, annotations, JUnit."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from reconciler.cli.app import app, run
from reconciler.fleet.reply import NoAnswer
from reconciler.model import Action, Delta, Place, Plan, Ref, Step
from reconciler.output import github, junit, markdown, prometheus
from reconciler.printable import printable
from reconciler.tls import status
from reconciler.tls.endpoint import Endpoint, NoHandshake
from reconciler.tls.verify import Check
from tests import ROOT
from tests.cli.test_commands import world  # noqa: F401 - a fixture
from tests.support.schemas import committed, hold
from tests.support.states import (
    NEW,
    NOW,
    OLD,
    ORC,
    STATES,
    UCSB,
    UNM,
    bare,
    drifted,
    environment,
    facts,
    serving,
    stopped,
    well,
)
from tests.support.workplace import Scene


def metrics(text: str) -> dict[tuple[str, ...], float]:
    """Samples by name and labels, after Prometheus' own parser; each family is in one piece."""
    found: dict[tuple[str, ...], float] = {}
    seen = []
    for family in text_string_to_metric_families(text):
        assert family.type == "gauge", family
        assert family.documentation, family
        seen.append(family.name)
        for sample in family.samples:
            labels = {k: v for k, v in sample.labels.items() if k not in ("command", "environment")}
            key = (sample.name, *labels.values())
            assert key not in found
            found[key] = sample.value
    assert len(seen) == len(set(seen))
    return found


def of_drift(name: str, now: Any = NOW, before: str = "") -> str:
    told = STATES[name]()
    run = prometheus.MetricsInput("drift", "stage", now, told.served, told.plan)
    return prometheus.metrics_text(run, prometheus.samples(before))


def test_metrics_of_a_fleet_that_is_well() -> None:
    found = metrics(of_drift("well"))
    now = NOW.timestamp()
    assert found["reconcile_last_run_timestamp_seconds",] == now
    assert found["reconcile_last_success_timestamp_seconds",] == now
    for host in (UCSB, ORC, UNM):
        assert found["reconcile_host_unreachable", host] == 0
        assert found["reconcile_pending_actions", host] == 0
        assert found["reconcile_last_proof_timestamp_seconds", host] == now
        assert ("reconcile_drift_since_timestamp_seconds", host) not in found
        for service, port in (("apache", "443"), ("postgresql", "5432"), ("tomcat", "8443")):
            end = found["reconcile_certificate_expiry_timestamp_seconds", host, service, port]
            assert end == pytest.approx(now + 89.4 * 86400, abs=60)
            lifetime = found["reconcile_certificate_lifetime_seconds", host, service, port]
            assert lifetime == pytest.approx(90 * 86400, abs=60)


def test_what_only_time_can_tell_is_taken_over_from_the_run_before() -> None:
    first = of_drift("well")
    hours = [NOW + timedelta(hours=each) for each in range(4)]
    second = of_drift("drift", hours[1], first)
    found = metrics(second)
    assert found["reconcile_last_run_timestamp_seconds",] == hours[1].timestamp()
    assert found["reconcile_last_success_timestamp_seconds",] == NOW.timestamp()
    assert found["reconcile_drift_since_timestamp_seconds", ORC] == hours[1].timestamp()
    assert found["reconcile_host_unreachable", UNM] == 1
    assert ("reconcile_pending_actions", UNM) not in found
    assert found["reconcile_last_proof_timestamp_seconds", UNM] == NOW.timestamp()
    assert found["reconcile_last_proof_timestamp_seconds", ORC] == hours[1].timestamp()
    third = of_drift("drift", hours[2], second)
    assert metrics(third)["reconcile_drift_since_timestamp_seconds", ORC] == hours[1].timestamp()
    assert "drift_since" not in of_drift("well", hours[3], third)


def test_drift_goes_on_while_its_host_is_away() -> None:
    before = of_drift("stopped")
    after = metrics(of_drift("drift", NOW + timedelta(hours=1), before))
    assert after["reconcile_drift_since_timestamp_seconds", UNM] == NOW.timestamp()


def test_metrics_of_a_rollout_that_stopped() -> None:
    found = metrics(of_drift("stopped"))
    ends = {
        host: found["reconcile_certificate_expiry_timestamp_seconds", host, "apache", "443"]
        for host in (UCSB, ORC)
    }
    assert ends[ORC] - ends[UCSB] == pytest.approx(62.4 * 86400, abs=60)
    assert ("reconcile_last_proof_timestamp_seconds", UCSB) not in found
    assert found["reconcile_last_proof_timestamp_seconds", ORC] == NOW.timestamp()


def test_of_several_certificates_the_one_that_ends_first_counts() -> None:
    sight = well()
    serving(sight.seen, ORC, NEW)
    serving(sight.seen, ORC, OLD)
    state: Any = sight.seen[Ref(ORC, "serving", "cn-stage.test.dataone.org")]
    state |= {
        "tomcat on 8443": NEW,
        "postgresql on 5432": NEW,
        "apache on 443": f"{ORC}: {NEW}; without a name: {OLD}",
    }
    apache, postgresql, tomcat = (
        each for each in status.from_observation(environment(), sight) if each.host == ORC
    )
    assert (apache.release, apache.as_wanted) == (None, False)
    assert apache.end == NOW + timedelta(days=27)
    assert (tomcat.release, tomcat.as_wanted, postgresql.as_wanted) == (NEW, True, True)
    assert status.proven([apache, postgresql, tomcat]) == set()
    assert status.proven([postgresql, tomcat]) == {ORC}


def checks(*verdicts: str) -> list[Check]:
    begin, end = NOW - timedelta(days=1), NOW + timedelta(days=5)
    return [
        Check(Endpoint("h", "h", "apache", 443, "tls", None), "outside", verdict, f"{number}",
              (end - timedelta(hours=number)).isoformat(), begin.isoformat())
        for number, verdict in enumerate(verdicts)
    ]  # fmt: skip


def test_metrics_of_verify() -> None:
    def told(*verdicts: str, before: str = "") -> str:
        made = checks(*verdicts)
        run = prometheus.MetricsInput(
            "verify", "e", NOW + timedelta(hours=len(before)), status.from_checks(made), checks=made
        )
        return prometheus.metrics_text(run, prometheus.samples(before))

    good = told("ok", "ok")
    found = metrics(good)
    assert found["reconcile_checks", "h", "ok"] == 2
    assert found["reconcile_checks", "h", "wrong"] == 0
    assert found["reconcile_last_proof_timestamp_seconds", "h"] == NOW.timestamp()
    end = found["reconcile_certificate_expiry_timestamp_seconds", "h", "apache", "443"]
    assert end == (NOW + timedelta(days=5, hours=-1)).timestamp()
    wrong = metrics(told("ok", "wrong", before=good))
    assert wrong["reconcile_last_proof_timestamp_seconds", "h"] == NOW.timestamp()
    assert wrong["reconcile_last_success_timestamp_seconds",] > NOW.timestamp()
    assert (
        metrics(told("unknown", before=good))["reconcile_last_success_timestamp_seconds",] == NOW.timestamp()
    )


ODD = st.text(alphabet='\\"n\n{},= a')


@given(ODD, ODD)
@example("h", 'a"b')
@example("h", "a\\n")
def test_labels_come_back_as_they_were(host: str, name: str) -> None:
    run = prometheus.MetricsInput("drift", name, NOW, (), Plan(name, (), hosts=(host,)))
    text = prometheus.metrics_text(run, {})
    found = [each for family in text_string_to_metric_families(text) for each in family.samples]
    assert len(found) == 5
    for sample in found:
        assert sample.labels["environment"] == printable(name)
        assert sample.labels.get("host", printable(host)) == printable(host)
    assert prometheus.metrics_text(run, prometheus.samples(text)) == text
    assert prometheus.samples("nonsense\n{ x\n\n# y 1\na b") == {}


TICKS = st.text(alphabet="`~<>&|@#[]()!\\\n\r*_ax\u202e", min_size=1)


def hostile(text: str) -> Plan:
    action = Action(
        Ref(text, text, text), "change", (Delta(text, text, text), Delta(text, "a", "b", f"-{text}\n+{text}\n {text}")),
        (Step(text, text),), blocked=text, place=Place(text, 3, 4), subject=text,
    )  # fmt: skip
    return Plan(text, (action,), {text: text}, {Ref("h", text, text): text}, (text,), 2)


@given(st.one_of(st.text(min_size=1), TICKS, st.just("\n```\n</details><img src=x>")))
def test_nothing_breaks_out_of_the_markdown(text: str) -> None:
    lines = markdown.merge_request_comment(hostile(text)).splitlines()
    outside, blocks = [], 0
    while lines:
        line = lines.pop(0)
        if not (opened := re.fullmatch("(`{3,})diff", line)):
            outside.append(line)
            continue
        ends = [n for n, each in enumerate(lines) if re.match(rf" {{0,3}}{opened[1]}`* *$", each)]
        end = ends[0]
        assert lines[end : end + 3] == [opened[1], "", "</details>"], "a host has ended the fence"
        lines, blocks = lines[end + 1 :], blocks + 1
    assert blocks == 2
    for line in outside:
        rest = re.sub(r"<code>[\w &#;,\-]*</code>", "", line)
        assert not re.search(r"[`@\[]", rest.replace(":warning:", "")), line
        assert rest.count("|") in (0, 6), line
        known = {"<details>", "<details open>", "</details>", "<summary>", "</summary>", "<b>", "</b>"}
        assert set(re.findall(r"<[^>]*>", rest)) <= known, line


def test_a_long_plan_is_cut_and_says_so() -> None:
    actions = tuple(
        Action(Ref(f"h{n}", "file", "/x"), "create", (Delta("content", None, "y" * 500),), ())
        for n in range(300)
    )
    text = markdown.merge_request_comment(Plan("e", actions, hosts=("h",)))
    assert len(text) < 65_536
    assert "and 250 more hosts" in text
    assert re.search(r"\n\d+ more lines are left out; `reconcile plan` shows them all\.\n", text)


def test_the_markdown_of_drift() -> None:
    text = markdown.merge_request_comment(facts(drifted()).plan)
    assert "**Plan&#58; 0 to create, 2 to change, 0 to remove, 1 reload on 1 host&#46;**" in text
    assert "| host | create | change | remove | reload |" in text
    assert "could not be looked at" in text
    assert '\n-    RedirectMatch temp "^/' in text
    assert markdown.merge_request_comment(facts(well()).plan).count("\n") == 4


def test_a_comment_begins_with_counts_and_risks_and_folds_what_is_alike() -> None:
    text = markdown.merge_request_comment(bare().plan)
    head = text.partition("<details")[0]
    assert "**1 order at the CA**: <code>certificate" in head
    assert "**3 removals**: <code>apache&#95;site 000-default &#40;all 3 hosts&#41;</code>" in head
    assert text.index("<b>programs and clock</b>: 1 action") < text.index(
        "<b>switch and proof</b>: 3 actions"
    )
    assert text.count("+ create file /usr/local/lib/reconciler/rsync-wrapper.sh  (all 3 hosts)\n") == 1
    assert "    content: +74 lines\n" in text
    assert "<details open>" not in text
    assert "<details open>" in markdown.merge_request_comment(facts(drifted()).plan)


def test_a_comment_has_the_notes_of_a_plan() -> None:
    plan = facts(drifted()).plan
    noted = replace(plan, notes={plan.actions[0].ref: ("publish `this`",)})
    assert "\n#   note: publish `this`\n" in markdown.merge_request_comment(noted)


@given(st.text(min_size=1))
def test_an_annotation_is_one_line_whatever_is_in_it(text: str) -> None:
    lines = list(github.lines(hostile(text)))
    assert len(lines) == 4
    for line in lines:
        found = re.fullmatch(r"::(warning|notice) ((?:[a-z]+=[^,:]*,?)+)::(.*)", line)
        assert found, line
        assert not re.search(r"%(?!25|0A|3A|2C)", line)


def test_annotations_stand_at_the_line_that_asks_for_it() -> None:
    lines = list(github.lines(facts(stopped()).plan))
    assert re.search(
        r"^::warning file=.*fleet\.yaml,line=9,col=5,title=stage%3A 1 action pending::reload cn-stage-unm",
        lines[0],
    )
    assert (
        lines[-1]
        == "::notice title=stage::Plan: 0 to create, 0 to change, 0 to remove, 2 reloads on 2 hosts."
    )
    many = tuple(Action(Ref("h", "file", f"/{n}"), "create", (), ()) for n in range(12))
    (first, _) = github.lines(Plan("e", many))
    assert first.endswith("create h file /7%0Aand 4 more")


@given(st.text(min_size=1))
def test_junit_is_xml_whatever_is_in_it(text: str) -> None:
    suite = ET.fromstring(junit.plan_xml("drift", hostile(text)))
    assert suite.get("failures") == "1"
    made = [Check(Endpoint(text, text, text, 1, "tls", text), "outside", "wrong", text)]
    assert ET.fromstring(junit.checks_xml(text, made)).get("tests") == "1"


def test_junit_of_a_plan() -> None:
    suite = ET.fromstring(junit.plan_xml("drift", facts(drifted()).plan))
    assert [suite.get(name) for name in ("tests", "failures", "errors")] == ["6", "3", "2"]
    passed = [case.get("classname") for case in suite if len(case) == 0]
    assert passed == [UCSB]
    assert f"serves {NEW}" not in ET.tostring(suite, encoding="unicode")


def test_the_flags(world: Scene, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:  # noqa: F811
    xml, prom, plan = tmp_path / "j.xml", tmp_path / "e.prom", tmp_path / "p.json"
    assert world.run(["drift", "e", "--junit", str(xml), "--prometheus", str(prom), "--markdown"]) == 2
    assert capsys.readouterr().out.startswith("### reconcile: <code>e</code>")
    assert ET.parse(xml).getroot().get("failures") == "2"
    assert metrics(prom.read_text())["reconcile_pending_actions", "a"] == 1
    since = metrics(prom.read_text())["reconcile_drift_since_timestamp_seconds", "a"]
    assert world.run(["drift", "e", "--prometheus", str(prom), "--github"]) == 2
    assert capsys.readouterr().out.startswith("::warning title=e%3A 2 actions pending::")
    assert metrics(prom.read_text())["reconcile_drift_since_timestamp_seconds", "a"] == since
    assert [path.name for path in tmp_path.glob("*prom*")] == ["e.prom"]
    assert world.run(["plan", "e", "-o", str(plan), "--github", "--junit", str(xml)]) == 0
    capsys.readouterr()
    assert world.run(["show", str(plan), "--markdown"]) == 0
    assert "2 actions, in order" in capsys.readouterr().out


def test_flags_that_exclude_each_other(world: Scene, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:  # noqa: F811
    for command in ("plan", "drift"):
        assert world.run([command, "e", "--json", "--markdown"]) == 64
        assert "--json and --markdown: stdout takes one of them" in capsys.readouterr().err
    for more in (["--host", "a"], ["--only", "thing"]):
        assert world.run(["drift", "e", "--prometheus", str(tmp_path / "x"), *more]) == 64
        assert "the file describes the whole environment" in capsys.readouterr().err
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    assert world.run(["drift", "e", "--prometheus", str(tmp_path / "binary")]) == 71
    assert "is not a text file; it was not changed" in capsys.readouterr().err
    assert world.run(["drift", "e", "--prometheus", str(tmp_path)]) == 71
    assert "cannot be read (Is a directory)" in capsys.readouterr().err


def test_report_and_verify_ask_the_hosts(
    world: Scene,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
) -> None:
    """The services are asked for real elsewhere (test_handshake, test_fleet_certificate)."""

    def refused(endpoints: Any, *_: Any) -> dict:
        return dict.fromkeys(endpoints, NoHandshake("<connection> refused", listens=False))

    world.more["probe_tls"] = refused
    page, prom, xml = tmp_path / "e.html", tmp_path / "e.prom", tmp_path / "e.xml"
    assert world.run(["report", "e", "-o", str(page)]) == 0
    assert "Plan: 2 to create" in page.read_text()
    assert world.run(["verify", "e"]) == 64
    assert "there is nothing to verify: `blueprint` is false" in capsys.readouterr().err
    world.environment = replace(world.environment, blueprint=True)
    assert world.run(["verify", "e", "--prometheus", str(prom), "--junit", str(xml)]) == 2
    assert metrics(prom.read_text())["reconcile_checks", "a", "wrong"] == 3
    capsys.readouterr()
    assert world.run(["verify", "e", "-q", "--host", "?", "--host", "!b"]) == 2
    shown = capsys.readouterr().out
    assert "wrong" in shown
    # The names of the certificate are no matter of a host.
    assert [line.split()[1] for line in shown.splitlines() if line.startswith("b ")] == ["CAA"]
    assert ET.parse(xml).getroot().get("failures") == "6"
    for name in ("a", "b"):
        world[name].error = NoAnswer(name, "it is down")
    assert world.run(["report", "e", "-o", str(page)]) == 3
    assert "b could not be looked at: it is down" in page.read_text()
    assert "&lt;connection&gt; refused" in page.read_text()


DOCUMENTS = {
    "validate": "validation", "observe": "observation", "plan": "plan", "show": "plan", "drift": "plan",
    "apply": "apply", "verify": "verify", "explain": "explain", "import": "import",
    "history": "history", "rollback": "plan", "graph": "graph", "approve": "approval",
    "init": "files", "report": "files", "cron": "files", "unlock": "locks", "status": "status",
    "doctor": "doctor", "fmt": "formatting", "forecast": "forecast", "worker": "answer",
}  # fmt: skip


def test_every_command_gives_json_and_has_a_schema() -> None:
    import typer

    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert commands.keys() == DOCUMENTS.keys()
    assert [name for name, each in commands.items() if not any("--json" in p.opts for p in each.params)] == []
    for name in DOCUMENTS.values():
        schema = committed(name)
        assert schema["properties"]["document"] == {"const": name}
        assert {"version", "document"} <= set(schema["required"])


def test_the_documents_of_commands_without_a_host_are_as_their_schemas_say(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    example = str(ROOT / "examples" / "three-hosts")
    seen = f"{example}.observation.json"
    new = ["--name", "x", "--router", "cn.example.org", "--host", "cn-1.example.org"]
    plan, key = tmp_path / "plan.json", tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    assert run(["plan", f"{example}.yaml", "--seen", seen, "-o", str(plan)]) == 0
    capsys.readouterr()
    for arguments in (
        ["graph", f"{example}.yaml"],
        ["fmt", f"{example}.yaml"],
        ["cron", f"{example}.yaml", "--auto"],
        ["cron", f"{example}.yaml", "--systemd"],
        ["report", f"{example}.yaml", "--seen", seen, "-o", str(tmp_path / "page.html")],
        ["init", *new, "-o", str(tmp_path / "x.yaml")],
        ["approve", str(plan), "--key", str(key)],
    ):
        assert run([*arguments, "--json"]) == 0, arguments
        hold(json.loads(capsys.readouterr().out), DOCUMENTS[arguments[0]])
    assert run(["graph", f"{example}.yaml", "--json", "--format", "dot"]) == 64


def test_the_units_and_the_line_of_cron_are_the_texts_of_its_document(capsys: pytest.CaptureFixture) -> None:
    env = str(ROOT / "examples" / "three-hosts.yaml")
    for more in ([], ["--systemd"]):
        run(["cron", env, *more])
        text = capsys.readouterr().out
        run(["cron", env, *more, "--json"])
        files = json.loads(capsys.readouterr().out)["files"]
        assert files
        assert all(each["text"] in text for each in files)
