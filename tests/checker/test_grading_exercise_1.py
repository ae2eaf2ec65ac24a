"""Each wrong submission of exercise 1 fails what it gets wrong, and nothing else."""

from collections.abc import Callable

import pytest

from tests.checker.matrix import cases
from tests.checker.mutants import Mutant


@pytest.mark.parametrize("mutant", cases(1))
def test_a_wrong_submission_fails_its_criterion_and_no_other(
    mutant: Mutant, assert_fails_alone: Callable[[Mutant], None]
) -> None:
    assert_fails_alone(mutant)
