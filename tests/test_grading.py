"""The reference and another right solution pass; each wrong one fails what it gets wrong."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mutants import Mutant, copy_reference, mutants

from lab.errors import UserError
from lab.grading.hidden import HiddenData, make_hidden_data
from lab.grading.outcome import Status
from lab.grading.results import Scorecard
from lab.grading.runner import Grader, criteria_of
from lab.grading.sandbox import Sandbox, sandbox
from lab.settings import settings, utc_now

SEED = 11
LOWERED = {"materialize_entities": 5_000, "materialize_limit_s": 60, "call_timeout_s": 60}
PLAIN = Path(__file__).parent / "submissions" / "right" / "plain"
ALL_MUTANTS = [mutant for exercise in (1, 2, 3) for mutant in mutants(exercise)]


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with sandbox() as started:
        yield started


@pytest.fixture(scope="module")
def hidden(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HiddenData]:
    """Simulated, whatever data the lab holds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(vars(settings), "data_dir", tmp_path_factory.mktemp("no data"))
        yield make_hidden_data(tmp_path_factory.mktemp("grader") / "hidden", SEED, utc_now())


def grade(
    box: Sandbox, hidden: HiddenData, folder: Path, exercise: int | None = None, **limits: Any
) -> Scorecard:
    config = settings.model_copy(update=LOWERED | limits)
    return Grader(box, hidden, config).grade(folder, criteria_of(exercise))


def not_passed(card: Scorecard) -> dict[str, tuple[Status, str]]:
    return {
        r.criterion.id: (r.status, f"{r.measured} {r.message} {r.log_tail[-500:]}")
        for r in card.results
        if r.status is not Status.PASS
    }


@pytest.mark.parametrize("mutant", ALL_MUTANTS, ids=lambda m: f"{m.criterion}-{m.name}")
def test_a_wrong_submission_fails_its_criterion_and_no_other(
    mutant: Mutant, box: Sandbox, hidden: HiddenData, tmp_path: Path
) -> None:
    copy_reference(tmp_path)
    mutant.write(tmp_path)
    card = grade(box, hidden, tmp_path, int(mutant.criterion[0]), **mutant.limits)
    assert card.status_of() == mutant.expected(), not_passed(card)


def test_every_criterion_has_a_wrong_submission() -> None:
    caught = {mutant.criterion for mutant in ALL_MUTANTS}
    assert caught == {identifier for n in (1, 2, 3) for identifier in criteria_of(n)}


def test_the_reference_passes(box: Sandbox, hidden: HiddenData, tmp_path: Path) -> None:
    copy_reference(tmp_path)
    card = grade(box, hidden, tmp_path)
    assert card.count(Status.PASS) == 18, not_passed(card)
    assert card.count(Status.NOT_ATTEMPTED) == 17
    card.write(tmp_path / "scorecard.json")
    written = json.loads((tmp_path / "scorecard.json").read_text())
    assert (written["passed"], written["total"]) == (18, 35)
    fields = {"id", "title", "status", "measured", "required", "message", "hint", "seconds"}
    criteria = [c for exercise in written["exercises"] for c in exercise["criteria"]]
    assert len(criteria) == 35
    assert all(fields <= set(criterion) for criterion in criteria)


def test_another_right_solution_passes(box: Sandbox, hidden: HiddenData) -> None:
    card = grade(box, hidden, PLAIN)
    assert card.count(Status.PASS) == 18, not_passed(card)
    notes = {r.criterion.id: " ".join(r.notes) for r in card.results}
    assert "file store" in notes["2.4"], "the ties that Feast cannot order are noted, not scored"


def test_an_empty_folder_is_not_attempted(box: Sandbox, hidden: HiddenData, tmp_path: Path) -> None:
    card = grade(box, hidden, tmp_path)
    assert card.count(Status.NOT_ATTEMPTED) == 35, not_passed(card)


def test_a_missing_folder_is_the_users_mistake(
    box: Sandbox, hidden: HiddenData, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="there is no folder"):
        grade(box, hidden, tmp_path / "nowhere")


def test_a_broken_submission_toml_is_the_users_mistake(
    box: Sandbox, hidden: HiddenData, tmp_path: Path
) -> None:
    (tmp_path / "submission.toml").write_text("[data\n")
    with pytest.raises(UserError, match="not valid TOML"):
        grade(box, hidden, tmp_path)


@pytest.mark.parametrize(
    ("trick", "limits"),
    [
        ("import os; os._exit(0)", {}),
        ("while True: pass", {"import_timeout_s": 2}),
        ("def get_training_data(entity_df): return object()", {}),
    ],
    ids=["exit", "hang", "object"],
)
def test_a_script_that_ends_hangs_or_returns_nonsense_fails(
    trick: str, limits: dict[str, Any], box: Sandbox, hidden: HiddenData, tmp_path: Path
) -> None:
    copy_reference(tmp_path)
    script = tmp_path / "exercise_02_pit_training" / "generate_training_data.py"
    script.write_text(f"{script.read_text().split('def main')[0]}\n{trick}\n")
    card = grade(box, hidden, tmp_path, 2, **limits)
    assert card.status_of()["2.1"] is Status.FAIL
    assert set(card.status_of().values()) == {Status.FAIL, Status.SKIPPED}


def test_a_failure_shows_at_most_three_counter_examples(
    box: Sandbox, hidden: HiddenData, tmp_path: Path
) -> None:
    copy_reference(tmp_path)
    latest_join = next(m for m in ALL_MUTANTS if m.criterion == "2.4")
    latest_join.write(tmp_path)
    card = grade(box, hidden, tmp_path, 2)
    wrong = next(r for r in card.results if r.criterion.id == "2.4")
    assert 1 <= len(wrong.examples) <= 3
    assert all(example.expected != example.got for example in wrong.examples)


def test_a_bug_of_ours_is_an_error_and_not_a_fail(
    box: Sandbox, hidden: HiddenData, tmp_path: Path
) -> None:
    def broken(_: object) -> None:
        raise ZeroDivisionError("ours")

    copy_reference(tmp_path)
    grader = Grader(box, hidden, settings)
    grader._checks["1.2"] = broken  # type: ignore[assignment]
    card = grader.grade(tmp_path, ["1.2"])
    assert card.status_of()["1.2"] is Status.ERROR
