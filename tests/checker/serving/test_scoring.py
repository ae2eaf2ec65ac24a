"""Probabilities are compared with the grader's model, verdicts with a threshold."""

from itertools import combinations
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from checker.hidden.hidden_data import HiddenData
from checker.serving.payments import PROBABILITY, VERDICT, payments
from checker.serving.scoring import (
    INPUTS,
    KnownModel,
    known_model,
    right_scores,
    score_mistakes,
    unstable,
)

ROWS = 60


@pytest.fixture(scope="module")
def model(hidden: HiddenData) -> KnownModel:
    return known_model(hidden.with_answers(hidden.frame(1_000)), hidden)


@pytest.fixture(scope="module")
def sent(hidden: HiddenData) -> pd.DataFrame:
    return payments(hidden, ROWS, 1)


def submission(model: KnownModel | None) -> Any:
    return SimpleNamespace(running=lambda _: model)


def scored(score: pd.Series, verdict: pd.Series | None = None) -> pd.DataFrame:
    return pd.DataFrame({PROBABILITY: score, VERDICT: score > 0.5 if verdict is None else verdict})


def test_two_exchanged_inputs_show(model: KnownModel, sent: pd.DataFrame) -> None:
    given = submission(model)
    right = model.probabilities(sent)
    assert right_scores(given, sent, scored(right.round(2))).all()
    for one, other in combinations(INPUTS, 2):
        exchanged = sent.rename(columns={one: other, other: one})
        assert not right_scores(given, sent, scored(model.probabilities(exchanged))).all(), one


def test_a_verdict_follows_from_the_probability(model: KnownModel, sent: pd.DataFrame) -> None:
    right = model.probabilities(sent)
    assert score_mistakes(submission(model), sent, scored(right)) == []
    wrong = {
        "inverted": right < 0.5,
        "constant": pd.Series(False, index=right.index),
        "too high a threshold": right > 0.9,
        "too low a threshold": right > 0.05,
    }
    for name, verdict in wrong.items():
        assert score_mistakes(submission(model), sent, scored(right, verdict)), name
    inverted = score_mistakes(submission(model), sent, scored(1 - right))
    assert inverted == [f"{ROWS} probabilities are not the model's"]


def test_a_model_of_its_own_may_have_any_threshold(sent: pd.DataFrame) -> None:
    score = pd.Series([0.1, 0.2, 0.3])
    for threshold, mistakes in ((0.05, 0), (0.15, 0), (0.9, 0)):
        got = scored(score, score > threshold)
        assert len(score_mistakes(submission(None), sent.head(3), got)) == mistakes
    assert score_mistakes(submission(None), sent.head(3), scored(score, score < 0.15))


def test_random_probabilities_differ_when_they_are_repeated() -> None:
    first = scored(pd.Series([0.1, 0.5, 0.9]))
    assert unstable(first, scored(pd.Series([0.1, 0.5]))) == []
    assert unstable(first, scored(pd.Series([0.4, 0.5])))
