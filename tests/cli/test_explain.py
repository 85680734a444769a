"""`explain` and `graph`, from a saved observation: no host is at hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given

from reconciler.cli.app import run
from reconciler.environment.load import load
from reconciler.kinds.file import File
from reconciler.model import Ref
from reconciler.output import diagram
from reconciler.output.explanation import procedure
from reconciler.plan.order import Cycle, ordered, reduced
from tests import ROOT
from tests.plan.test_order import LETTERS, graphs
from tests.support.schemas import hold

FILE = str(ROOT / "examples" / "three-hosts.yaml")
SEEN = str(ROOT / "examples" / "three-hosts.observation.json")
HOST = "cn-lab-3.test.dataone.org"
VHOST = "/etc/apache2/sites-available/cn-port80.conf"


def explained(capsys: pytest.CaptureFixture, code: int, *words: str) -> str:
    assert run(["explain", FILE, "--seen", SEEN, *words]) == code
    return capsys.readouterr().out


def test_why_something_would_change(capsys: pytest.CaptureFixture) -> None:
    out = explained(capsys, 0, f"{HOST} service apache2")
    lines = out.splitlines()
    assert lines[0] == f"! {HOST} service apache2  ({FILE}:13:5)"
    assert '    loaded: "older than on disk" → "as on disk"' in lines
    assert any(line.startswith("    $ systemctl reload apache2") for line in lines)
    assert "    verdict: reload: not as desired: loaded" in lines
    assert f"    declared in: {FILE}:13:5 (S15, Apache: reloaded" in out
    waits = lines[lines.index("    waits for:") : lines.index("    waited for by: nothing")]
    assert f"      {HOST} file {VHOST} (change)" in waits
    assert f"      {HOST} package apache2 (as desired)" in waits


def test_what_is_as_wanted_is_explained_too(capsys: pytest.CaptureFixture) -> None:
    out = explained(capsys, 0, HOST, "file", "/etc/motd")
    assert out.startswith(f"  {HOST} file /etc/motd\n    verdict: it is as desired\n")
    assert f"    declared in: {FILE}:27:5\n" in out  # the line in `resources:`, and no row
    assert out.count("content:") == 2


def test_the_text_of_a_file_is_told_by_its_diff_alone(capsys: pytest.CaptureFixture) -> None:
    out = explained(capsys, 0, HOST, "file", VHOST)
    assert "    -    RedirectMatch temp" in out
    assert "text:" not in out
    assert "text" not in json.loads(explained(capsys, 0, HOST, "file", VHOST, "--json"))["seen"]


def test_what_the_file_declares_itself_is_of_no_row() -> None:
    environment = load(FILE)
    vhost = File(host=HOST, path=VHOST, content="mine")
    ours = replace(environment, resources=(vhost,))
    assert procedure(environment)[vhost.ref].startswith("S6: ")
    assert vhost.ref not in procedure(ours)


def test_what_cannot_be_judged_ends_with_3(capsys: pytest.CaptureFixture, tmp_path: Path) -> None:
    document = json.loads(Path(SEEN).read_text(encoding="utf-8"))
    document["hosts"][HOST] = {"unreachable": "it is down"}
    seen = tmp_path / "seen.json"
    seen.write_text(json.dumps(document))
    assert run(["explain", FILE, "--seen", str(seen), "file:/etc/motd", "--host", HOST]) == 3
    out = capsys.readouterr().out
    assert "    verdict: cannot be judged: it is down\n" in out
    assert "    seen: cannot be seen" in out


@pytest.mark.parametrize(
    "words",
    [
        [f"{HOST} file {VHOST}"],
        [HOST, "file", VHOST],
        ["cn-lab-3", "file", VHOST],
        [f"file:{VHOST}", "--host", HOST],
        ["file", VHOST, "--host", HOST],
    ],
)
def test_every_spelling_of_a_ref(words: list[str], capsys: pytest.CaptureFixture) -> None:
    document = json.loads(explained(capsys, 0, *words, "--json"))
    hold(document, "explain")
    assert (document["host"], document["name"], document["action"]["verb"]) == (HOST, VHOST, "change")
    assert [each["kind"] for each in document["waited_for_by"]] == ["apache_config", "apache_site", "service"]


def test_a_ref_that_is_none_or_several(capsys: pytest.CaptureFixture) -> None:
    assert run(["explain", FILE, "--seen", SEEN, f"{HOST} servce apache"]) == 64
    err = capsys.readouterr().err
    assert "no resource matches; expected HOST KIND NAME, as the plan prints it; nearest:\n" in err
    assert err.splitlines()[1] == f"    {HOST} service apache2"
    assert run(["explain", FILE, "--seen", SEEN, f"file:{VHOST}"]) == 64
    assert "3 resources match; say which one" in capsys.readouterr().err
    assert run(["explain", FILE, "--seen", SEEN, "§" * 40]) == 64
    assert run(["explain", FILE, "--seen", "none.json", f"{HOST} service apache2"]) == 64
    assert run(["explain", FILE, "--host", "nowhere", "service:apache2"]) == 64


def test_a_graph_needs_no_host_and_is_the_same_every_time(capsys: pytest.CaptureFixture) -> None:
    said = []
    for _ in range(2):
        assert run(["graph", "stage", "--format", "dot"]) == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]
    assert said[0].splitlines()[1] == 'digraph "stage" {'
    assert run(["graph", FILE]) == 0
    whole = capsys.readouterr().out.splitlines()
    assert whole[1] == "flowchart LR"
    assert sum(line.startswith("  subgraph ") for line in whole) == 3
    assert run(["graph", FILE, "--host", HOST, "--only", "service", "--only", "package:apache2"]) == 0
    narrow = capsys.readouterr().out.splitlines()
    assert narrow[2:] == [
        f'  subgraph h1["{HOST}"]',
        '    n1["package apache2"]',
        '    n2["service apache2"]',
        '    n3["service postgresql@15-main"]',
        '    n4["service ssh"]',
        '    n5["service tomcat10"]',
        "  end",
        "  n1 --> n2",
    ]
    assert run(["graph", FILE, "--format", "png"]) == 64
    assert "expected one of mermaid, dot" in capsys.readouterr().err


@given(graphs())
def test_fewer_edges_tell_the_same_order(before: dict[Ref, set[Ref]]) -> None:
    try:
        order = ordered(before)
    except Cycle:
        return
    chosen = set(LETTERS[::2]) | {LETTERS[1]}
    found = reduced(before, chosen)
    assert set(found) == chosen

    def above(ref: Ref, edges: dict) -> set[Ref]:
        return set().union(*({each} | above(each, edges) for each in edges[ref]))

    for ref in order:
        if ref in chosen:
            assert above(ref, found) == above(ref, before) & chosen
            for each in found[ref]:
                assert not any(each in above(other, found) for other in found[ref])


def test_names_cannot_be_taken_for_markup() -> None:
    nasty = Ref('h"]', "file", '/a"<b>\\#\n`')
    text = "\n".join(diagram.mermaid("e", {nasty: []}))
    assert '["file /a#quot;#lt;b#gt;\\#35;\\n#96;"]' in text
    drawn = "\n".join(diagram.dot("e", {nasty: []}))
    assert 'label="file /a\\"<b>\\\\#\\\\n`"' in drawn
