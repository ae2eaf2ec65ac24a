"""The workflow and the container file run commands that are there, and nothing unpinned."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.settings import Settings, settings
from tests import test_docs

ROOT = settings.root
WORKFLOWS = [
    ROOT / ".github" / "workflows" / "check.yml",
    ROOT / "lab" / "starter" / ".github" / "workflows" / "check.yml",
]
CONTAINERFILE = (ROOT / "Containerfile").read_text().replace("\\\n", "")

each_workflow = pytest.mark.parametrize("workflow", WORKFLOWS, ids=["ours", "of_a_workspace"])


def steps(workflow: Path) -> list[dict[str, Any]]:
    jobs = yaml.safe_load(workflow.read_text())["jobs"]
    return [step for job in jobs.values() for step in job["steps"]]


def instructions(name: str) -> list[str]:
    """Return the arguments of all instructions of a name."""
    return re.findall(rf"^{name} (.+)$", CONTAINERFILE, re.MULTILINE)


def assert_runs(words: list[str]) -> None:
    """Assert that a command is the project's own and takes these words; others are the system's."""
    words = words[1:] if words[0] == "sudo" else words
    if words[0] == "make":
        test_docs.assert_targets_exist(words[3:] if words[1] == "-C" else words[1:])
    elif words[0].endswith("/lab"):
        test_docs.assert_lab_takes(words[1:])
    elif words[0].endswith("system-packages"):
        known = re.findall(r"^ +(\S+)\) echo", script("scripts/system-packages"), re.MULTILINE)
        assert set(words[1:]) <= set(known)
    elif "/" in words[0] and not words[0].startswith(".venv"):
        assert script(words[0]).startswith("#!")


def script(name: str) -> str:
    return (ROOT / name).read_text()


@each_workflow
def test_the_commands_of_a_workflow_exist(workflow: Path) -> None:
    commands = [step["run"].partition(" >>")[0] for step in steps(workflow) if "run" in step]
    assert sum("/lab " in command for command in commands) >= 2
    for command in commands:
        assert_runs(shlex.split(command))


@each_workflow
def test_a_workflow_keeps_the_scorecard_of_what_failed(workflow: Path) -> None:
    (upload,) = [step for step in steps(workflow) if "upload-artifact" in step.get("uses", "")]
    assert upload["if"] == "always()"
    assert all("@v" in step["uses"] for step in steps(workflow) if "uses" in step)


@pytest.mark.parametrize("name", ["site", "weekly", "publish-plugins"])
def test_the_commands_of_other_workflows_exist(name: str) -> None:
    workflow = ROOT / ".github" / "workflows" / f"{name}.yml"
    for command in [step["run"] for step in steps(workflow) if "run" in step]:
        assert_runs(shlex.split(command))


def test_the_reference_has_to_pass_all() -> None:
    commands = [step.get("run", "") for step in steps(WORKFLOWS[0])]
    assert any("--fail-under 35" in command for command in commands)
    assert ".ci/run" in commands


def test_the_image_is_of_one_version_and_made_by_the_projects_commands() -> None:
    (base,) = instructions("FROM")
    assert re.search(r":\d+\.\d+\.\d+-\w+$", base)
    commands = [shlex.split(part) for run in instructions("RUN") for part in run.split(" && ")]
    assert ["make", "setup"] in commands
    for words in commands:
        assert_runs(words)


def test_the_jars_of_the_image_are_fetched_by_functions_that_exist() -> None:
    (code,) = [shlex.split(run)[-1] for run in instructions("RUN") if "python -c" in run]
    imports = "; ".join(part.strip() for part in code.split(";") if " import " in part)
    python = sys.executable
    assert imports.count("import") == 3
    assert subprocess.run([python, "-c", imports], check=False).returncode == 0


def test_the_image_runs_lab() -> None:
    (entry,), (command,) = (instructions(name) for name in ("ENTRYPOINT", "CMD"))
    assert json.loads(entry) == ["/lab/.venv/bin/lab"]
    assert json.loads(command)[0] == "grade"


BUDGET = (ROOT / ".ci" / "budget").read_text()
CLOCK = "#!/bin/sh\ncat clock\n"  # stands for `date`: a step moves it by writing seconds


def run_ci(folder: Path, steps: str) -> tuple[int, dict[str, str]]:
    """Run a copy of .ci/run with other steps; return its status and the rows of its table."""
    (folder / ".ci").mkdir()
    (folder / "bin").mkdir()
    shutil.copy(ROOT / ".ci" / "run", folder / ".ci" / "run")
    (folder / ".ci" / "budget").write_text(f"# minutes and commands\n{steps}")
    (folder / "Makefile").write_text("down:\n\t@touch services_stopped\n")
    (folder / "clock").write_text("0")
    (folder / "bin" / "date").write_text(CLOCK)
    (folder / "bin" / "date").chmod(0o755)
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    run = subprocess.run(
        [folder / ".ci" / "run"],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (folder / "services_stopped").exists(), run.stderr
    table = run.stdout[run.stdout.index("step  ") :]
    rows = [re.split(r" {2,}", line, maxsplit=1) for line in table.splitlines()]
    return run.returncode, {step: " ".join(rest.split()) for step, rest in rows}


def test_the_steps_of_ci_exist_and_take_an_hour() -> None:
    rows = [line.split(maxsplit=1) for line in BUDGET.splitlines() if not line.startswith("#")]
    assert sum(int(minutes) for minutes, _ in rows) == 60
    assert len(rows) == 5
    for _, command in rows:
        assert_runs(test_docs.without_assignments(shlex.split(command)))


def test_ci_prints_the_minutes_of_each_step(tmp_path: Path) -> None:
    status, table = run_ci(tmp_path, "2 echo 90 > clock\n3 NAME=1 sh -c 'echo 120 > clock'\n")
    assert status == 0
    assert table == {
        "step": "minutes budget",
        "echo 90 > clock": "1.5 2",
        "NAME=1 sh -c 'echo 120 > clock'": "0.5 3",
        "total": "2.0 5",
    }


def test_a_failed_step_ends_ci_with_its_status_and_the_table(tmp_path: Path) -> None:
    status, table = run_ci(tmp_path, "1 true\n1 exit 7\n1 touch must_not_run\n")
    assert status == 7
    assert table["true"] == "0.0 1"
    assert table["exit 7"] == "0.0 1 failed"
    assert table["touch must_not_run"] == "0.0 1 not run"
    assert not (tmp_path / "must_not_run").exists()


@pytest.mark.parametrize(
    ("steps", "total"),
    [
        ("1 echo 90 > clock\n9 true\n", "1.5 10"),
        ("1 echo 90 > clock\n", "1.5 1 over budget: shorten a step"),
    ],
    ids=["a step", "the whole"],
)
def test_what_is_over_budget_is_named_and_passes(steps: str, total: str, tmp_path: Path) -> None:
    status, table = run_ci(tmp_path, steps)
    assert status == 0
    assert table["echo 90 > clock"] == "1.5 1 over budget"
    assert table["total"] == total


def test_the_example_of_settings_has_the_defaults() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    given = dict(line.split("=", 1) for line in lines if line.startswith("LAB_"))
    fields = Settings.model_fields
    assert given == {name: str(fields[name[4:].lower()].default) for name in given} != {}


def test_the_development_container_runs_commands_of_the_project() -> None:
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    for command in container["onCreateCommand"].split(" && "):
        assert_runs(shlex.split(command))


def test_the_files_that_github_reads_are_valid() -> None:
    folder = ROOT / ".github"
    for form in (folder / "ISSUE_TEMPLATE").iterdir():
        content = yaml.safe_load(form.read_text())
        assert {"name", "description", "body"} <= set(content)
        assert all(part["type"] in {"textarea", "input"} for part in content["body"])
    updates = yaml.safe_load((folder / "dependabot.yml").read_text())["updates"]
    assert {update["package-ecosystem"] for update in updates} == {"pip", "github-actions"}
