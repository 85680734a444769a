"""The examples for CI servers: they are YAML, and every command in them is one of ours."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from reconciler.cli.app import app
from tests import ROOT

EXAMPLES = sorted((ROOT / "docs" / "ci").glob("*.yaml"))
END = re.compile(r"^(>|>>|\||\|\||&&|;)$")


def scripts(node: Any) -> Iterator[str]:
    """Every line of shell: what stands under `run`, `script` and `after_script`."""
    if isinstance(node, list):
        for each in node:
            yield from scripts(each)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key in ("run", "script", "after_script"):
                yield from "\n".join(_flat(value)).splitlines()
            else:
                yield from scripts(value)


def _flat(value: Any) -> Iterator[str]:
    """The texts of a list, and of the lists in it: an anchor stands for several lines."""
    if isinstance(value, str):
        yield value
    else:
        for each in value:
            yield from _flat(each)


def ours(path: Path) -> list[list[str]]:
    """The arguments of every `reconcile` in a file."""
    found = []
    for line in scripts(yaml.safe_load(path.read_text(encoding="utf-8"))):
        words = shlex.split(line)
        if words[:1] == ["reconcile"]:
            end = next((number for number, word in enumerate(words) if END.match(word)), len(words))
            found.append(words[1:end])
    return found


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_command_of_an_example_parses(path: Path) -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    found = ours(path)
    for name, *arguments in found:
        commands[name].make_context(name, list(arguments))
    assert {words[0] for words in found} >= {"validate", "plan", "apply", "verify", "drift", "report"}
    told = path.read_text(encoding="utf-8").count("reconcile ")
    assert told >= len(found)


def test_a_command_that_does_not_parse_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("job: {script: [reconcile plan prod --markdwon > x]}")
    ((name, *arguments),) = ours(path)
    with pytest.raises(Exception, match="No such option"):
        typer.main.get_command(app).commands[name].make_context(name, arguments)  # type: ignore[attr-defined]


def test_there_is_one_for_each_server() -> None:
    assert [path.stem for path in EXAMPLES] == ["github", "gitlab"]
    for path in EXAMPLES:
        text = path.read_text(encoding="utf-8")
        assert "apply plan.json" in text, "what was approved is what is applied"
        assert "--yes" not in text


# -- what each job may do ----------------------------------------------------------------------

FROM_HERE = {
    "github": "head.repo.full_name == github.repository",
    "gitlab": "SOURCE_PROJECT_ID == $CI_PROJECT_ID",
}


def jobs(path: Path) -> dict[str, dict[str, Any]]:
    """The jobs of an example by name."""
    whole = yaml.safe_load(path.read_text(encoding="utf-8"))
    found = whole.get("jobs", whole)
    return {
        name: job
        for name, job in found.items()
        if isinstance(job, dict) and ("steps" in job or "script" in job)
    }


def runs_for_requests(job: dict[str, Any]) -> bool:
    """Whether a job runs for merge requests, whose author can change it."""
    return bool(re.search("pull_request|merge_request_event", f"{job.get('if')} {job.get('rules')}"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_a_fork_gets_no_secret_and_no_runner_of_ours(path: Path) -> None:
    for name, job in jobs(path).items():
        conditions = f"{job.get('if')} {job.get('rules')}"
        if runs_for_requests(job) and FROM_HERE[path.stem] not in conditions:
            assert name == "validate"
            text = yaml.safe_dump(job)
            assert not re.search(r"secrets|KEY|TOKEN|environment:|self-hosted|tags:", text), text


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_a_request_can_only_look_and_what_changes_hosts_is_tied_to_main(path: Path) -> None:
    found = jobs(path)
    assert [name for name, job in found.items() if runs_for_requests(job)] == ["validate", "comment"]
    for name, job in found.items():
        text = yaml.safe_dump(job)
        if name == "comment":
            assert "LOOK_KEY" in text
            assert not re.search(
                r"\$MAIN_KEY|RECONCILE_KEY|environment: (plan|production)|reconcile-main", text
            )
        elif name != "validate":
            assert re.search(r"\b(MAIN_KEY|RECONCILE_KEY)\b", text)
            assert "reconcile-main" in text
            assert "environment" in job or path.stem == "gitlab", (
                "GitLab ties a protected variable to the branch"
            )


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_a_key_ends_with_the_step_that_needs_it_and_is_in_no_file(path: Path) -> None:
    for name, job in jobs(path).items():
        steps = [step for step in job.get("steps", [job]) if "KEY" in yaml.safe_dump(step)]
        assert bool(steps) == (name != "validate")
        for step in steps:
            lines = list(scripts(step))
            added = next(number for number, line in enumerate(lines) if "ssh-add" in line)
            assert "trap 'ssh-agent -k" in lines[added - 1]
            assert " -t " in lines[added], "a runner that is stopped in the middle forgets it too"
            assert lines[added + 1].startswith("unset KEY"), (
                "what runs then does not find it in its environment"
            )
            assert not [line for line in lines if "$KEY" in line and "ssh-add" not in line]


def test_actions_are_pinned_by_commit_and_leave_no_credentials() -> None:
    text = (ROOT / "docs" / "ci" / "github.yaml").read_text(encoding="utf-8")
    used = re.findall(r"uses: (.*)", text)
    assert used
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}  # v[0-9.]+", each) for each in used), used
    assert text.count("persist-credentials: false") == text.count("actions/checkout@")


def test_the_page_tells_of_every_job() -> None:
    page = (ROOT / "docs" / "ci" / "index.md").read_text(encoding="utf-8")
    rows = " ".join(line.split("|")[1] for line in page.splitlines() if line.startswith("| `"))
    for path in EXAMPLES:
        assert set(jobs(path)) == set(re.findall("`(.*?)`", rows))
