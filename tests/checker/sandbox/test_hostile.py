"""No hostile submission gains a pass, harms the grader or the next one, or reads what it must not.

One grading process grades all of them, one after the other. After each that may harm the next one,
and after the last of the others, it grades a right submission, which has to pass.
"""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from checker.render import RENDERERS, Form
from checker.run.grading_process import GradingProcess
from checker.run.runner import criteria_of
from checker.sandbox.isolation import chosen
from checker.settings import CheckerSettings
from checker.verdict.outcome import Status
from checker.verdict.results import Scorecard
from lab.errors import UserError
from tests.checker.hostile import DEFINITIONS, FOLDERS, MARKER, PLAIN, Attack, attacks

SEED = 7
SECRET = "SECRET-of-the-grader"
LIMITS = {
    "isolation": "auto",
    "hidden_transactions": 2_000,
    "call_timeout_s": 20,
    "memory_limit_gib": 4,
    "memory_total_gib": 0.75,
    "process_limit": 64,
    "thread_limit": 512,
    "disk_limit_gib": 0.125,
    "disk_files": 3_000,
}
QUIET = [*attacks("lying"), *attacks("reaching")]
ALL = [*QUIET, *attacks("taking"), *attacks("staying")]


@dataclass
class Bench:
    """One grading process for all, a file that none may read, and a submission that passes."""

    process: GradingProcess
    canary: Path
    right: Path
    isolation: str

    def grade(self, folder: Path, exercise: int) -> Scorecard:
        return self.process.grade(folder, criteria_of(exercise), lambda _: None)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    config, _ = chosen(CheckerSettings().model_copy(update=LIMITS))
    if config.isolation == "none":
        pytest.skip("bubblewrap does not work here: scripts/system-packages bwrap")
    folder = tmp_path_factory.mktemp("hostile")
    canary, right = folder / "X_canary.parquet", folder / "right"
    canary.write_text(SECRET)
    for name in FOLDERS:
        shutil.copytree(PLAIN / name, right / name)
    shutil.copy(PLAIN / "submission.toml", right)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAB_DATA_DIR", str(folder / "no_data"))
        patch.setenv("SLACK_WEBHOOK_URL", SECRET)
        process = GradingProcess(SEED, folder / "grader.log", config)
        yield Bench(process, canary, right, config.isolation)
        process.close()


@pytest.mark.parametrize("attack", ALL, ids=str)
def test_an_attack_gains_nothing_and_harms_nobody(
    attack: Attack, bench: Bench, tmp_path: Path
) -> None:
    if attack.needs == "full" != bench.isolation:
        pytest.skip("no network of its own: bubblewrap cannot give one here")
    attack.write(tmp_path / "hostile", bench.canary)
    card = bench.grade(tmp_path / "hostile", attack.exercise)
    worker = bench.process.pid
    assert not left_running()
    failed = next(r for r in card.results if r.status is not Status.PASS)
    text = f"{failed.message}\n{failed.log_tail}"
    assert (failed.criterion.id, failed.status) == (attack.first_failure, Status.FAIL), text
    assert attack.is_expected(text), text
    assert bench.canary.read_text() == SECRET
    assert_harmless(card)

    if attack in QUIET[:-1]:
        return
    after = bench.grade(bench.right, 1)
    assert after.count(Status.PASS) == 6, [(r.message, r.log_tail) for r in after.results]
    assert bench.process.pid == worker, "the grading process did not survive"


CODE_IN_A_REGISTRY = """
import os, pandas as pd
from feast import Field, RequestSource
from feast.on_demand_feature_view import on_demand_feature_view

class Payload:
    def __reduce__(self):
        return (os.system, ("touch PLACE 2>/dev/null",))

payload = Payload()

@on_demand_feature_view(
    sources=[RequestSource(name="amounts", schema=[Field(name="amount", dtype=Float64)])],
    schema=[Field(name="doubled", dtype=Float64)],
)
def doubling(inputs: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"doubled": inputs["amount"] * 2, "p": payload})[["doubled"]]

doubled = FeatureService(name="doubled", features=[doubling])
"""


def test_code_in_a_registry_is_not_run_by_the_grader(bench: Bench, tmp_path: Path) -> None:
    """Feast pickles an on-demand view's function; to build the object would be to run it."""
    place = bench.canary.with_name("owned")
    folder = Path(shutil.copytree(bench.right, tmp_path / "hostile"))
    with (folder / DEFINITIONS).open("a") as definitions:
        definitions.write(CODE_IN_A_REGISTRY.replace("PLACE", str(place)))
    card = bench.grade(folder, 1)
    assert card.count(Status.PASS) == 6, [(r.message, r.log_tail) for r in card.results]
    assert "3 services, 3 distinct" in card.results[3].measured
    assert not place.exists()


@pytest.mark.parametrize(
    "names", ["data = 3", "entities = [1]", "serving.start = 3", "serving.model = '../model.pkl'"]
)
def test_settings_of_other_types_are_the_submissions_mistake(
    names: str, bench: Bench, tmp_path: Path
) -> None:
    (tmp_path / "submission.toml").write_text(names)
    with pytest.raises(UserError, match="wrong type"):
        bench.grade(tmp_path, 1)


def left_running() -> list[int]:
    """Return processes of hostile submissions that still run."""
    return [p.pid for p in psutil.process_iter(["cmdline"]) if MARKER in (p.info["cmdline"] or [])]


def assert_harmless(card: Scorecard) -> None:
    """Assert that no form carries a secret, a terminal code or a script."""
    assert SECRET not in json.dumps(card.as_dict())
    for render in RENDERERS.values():
        text = render(card)
        assert "\x1b" not in text
    assert "<script" not in RENDERERS[Form.HTML](card).lower()
