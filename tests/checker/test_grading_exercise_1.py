"""Each wrong submission of exercise 1 fails what it gets wrong, and nothing else."""

import pytest

from tests.checker.conftest import AssertFailsAlone
from tests.checker.matrix import cases
from tests.checker.mutants import Mutant


@pytest.mark.parametrize("mutant", cases(1))
def test_a_wrong_submission_fails_its_criterion_and_no_other(
    mutant: Mutant, assert_fails_alone: AssertFailsAlone
) -> None:
    assert_fails_alone(mutant)
