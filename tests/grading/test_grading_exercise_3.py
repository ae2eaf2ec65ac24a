"""Each wrong submission of exercise 3 fails what it gets wrong, and nothing else."""

from collections.abc import Callable

import pytest
from mutants import Mutant, mutants

from lab.grading.runner import criteria_of


@pytest.mark.parametrize("mutant", mutants(3), ids=str)
def test_a_wrong_submission_fails_its_criterion_and_no_other(
    mutant: Mutant, assert_fails_alone: Callable[[Mutant], None]
) -> None:
    assert_fails_alone(mutant)


def test_every_criterion_has_a_wrong_submission() -> None:
    assert {mutant.criterion for mutant in mutants(3)} == set(criteria_of(3))
