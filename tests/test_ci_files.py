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
FOLDER = ROOT / ".github" / "workflows"
CHECK = FOLDER / "check.yml"
OF_A_WORKSPACE = ROOT / "lab" / "starter" / ".github" / "workflows" / "check.yml"
SCHEMAS = {
    "vendor.github-workflows": [*FOLDER.iterdir(), OF_A_WORKSPACE],
    "vendor.github-actions": [ROOT / "action.yml"],
    "vendor.github-issue-forms": [*(ROOT / ".github" / "ISSUE_TEMPLATE").iterdir()],
    "vendor.dependabot": [ROOT / ".github" / "dependabot.yml"],
}
CONTAINERFILE = (ROOT / "Containerfile").read_text().replace("\\\n", "")


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


@pytest.mark.parametrize("workflow", sorted(FOLDER.iterdir()), ids=lambda file: file.stem)
def test_the_commands_of_a_workflow_exist(workflow: Path) -> None:
    commands = [step["run"].partition(" >>")[0] for step in steps(workflow) if "run" in step]
    for command in commands:
        assert_runs(shlex.split(command))


@pytest.mark.parametrize("schema", SCHEMAS)
def test_the_files_of_github_have_its_form(schema: str) -> None:
    uv = [str(Path(sys.executable).with_name("uv")), "run", "--quiet", "--no-project"]
    check = ["--with", "check-jsonschema==0.39.0", "check-jsonschema", "--builtin-schema", schema]
    subprocess.run([*uv, *check, *map(str, SCHEMAS[schema])], check=True, timeout=120)


def test_actions_are_pinned_by_commit_with_their_version() -> None:
    files = [*FOLDER.iterdir(), OF_A_WORKSPACE, ROOT / "action.yml"]
    uses = [use for file in files for use in re.findall(r"uses: (.+)", file.read_text())]
    assert len(uses) > 20
    pinned = re.compile(r"[\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+|\./lab")
    assert [use for use in uses if not pinned.fullmatch(use)] == []


def test_a_workflow_keeps_the_scorecard_of_what_failed() -> None:
    for of_a_run in (steps(CHECK), action_steps()):
        (upload,) = [step for step in of_a_run if "upload-artifact" in step.get("uses", "")]
        assert upload["if"] == "always()"


def test_a_workspace_is_graded_by_the_action() -> None:
    *checkouts, grade = steps(OF_A_WORKSPACE)
    assert [step["with"]["path"] for step in checkouts] == ["solution", "lab"]
    inputs = yaml.safe_load((ROOT / "action.yml").read_text())["inputs"]
    assert grade["uses"] == "./lab"
    assert grade["with"].keys() <= inputs.keys()


def action_steps() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load((ROOT / "action.yml").read_text())["runs"]["steps"]
    return found


LAB = """#!/bin/sh
echo "$@" >> "$LOG"
[ "$1" = render ] && echo summary && exit
mkdir -p graded/scorecards/solution && touch graded/scorecards/solution/scorecard.json
exit 1
"""


def test_the_action_grades_one_exercise_and_shows_what_failed(tmp_path: Path) -> None:
    (grade,) = [step for step in action_steps() if step.get("id") == "grade"]
    lab = tmp_path / ".venv" / "bin" / "lab"
    lab.parent.mkdir(parents=True)
    lab.write_text(LAB)
    lab.chmod(0o755)
    given = {"SUBMISSION": "solution", "EXERCISE": "2", "FAIL_UNDER": ""}
    assert given.keys() == grade["env"].keys()
    files = {name: tmp_path / name for name in ("LOG", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    run = subprocess.run(
        ["bash", "-e", "-c", grade["run"]],
        cwd=tmp_path,
        env={**os.environ, **given, "GITHUB_ACTION_PATH": str(tmp_path)}
        | {name: str(file) for name, file in files.items()},
        check=False,
    )
    assert run.returncode == 1
    graded, rendered = files["LOG"].read_text().splitlines()
    assert graded == "grade solution --out graded --exercise 2"
    assert rendered == "render graded/scorecards/solution/scorecard.json --format github"
    for words in (graded, rendered):
        test_docs.assert_lab_takes(shlex.split(words))
    assert files["GITHUB_STEP_SUMMARY"].read_text() == "summary\n"
    assert files["GITHUB_OUTPUT"].read_text().startswith("scorecard=graded/scorecards/")


def test_the_reference_has_to_pass_all() -> None:
    commands = [step.get("run", "") for step in steps(CHECK)]
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
    assert imports.count(" import ") == 4
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
