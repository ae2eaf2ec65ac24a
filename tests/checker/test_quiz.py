"""`lab quiz` has a question for each criterion, made from the wrong submissions of today."""

import io
from collections.abc import Iterator

from rich.console import Console

from checker.verdict.brief import BY_ID
from lab.quiz import QUESTIONS, choices_of, draw, play
from tests.checker import quiz


def test_the_questions_are_those_of_the_wrong_submissions() -> None:
    assert QUESTIONS.read_text() == quiz.text(), "next: python -m tests.checker.quiz"


def test_each_criterion_is_drawn_once_and_a_seed_repeats_it() -> None:
    drawn = draw(None, 5)
    assert {question.criterion for question in drawn} == set(BY_ID)
    assert len(drawn) == len(BY_ID)
    assert drawn == draw(None, 5) != draw(None, 6)
    assert all(question.code and question.correction and question.measured for question in drawn)


def game(answers: list[str]) -> str:
    given: Iterator[str] = iter(answers)

    def read_answer() -> str:
        try:
            return next(given)
        except StopIteration:
            raise EOFError from None

    output = io.StringIO()
    play(3, 1, read_answer, Console(file=output, width=200))
    return output.getvalue()


def test_right_answers_are_counted_and_a_wrong_one_is_corrected() -> None:
    first, second, *_ = draw(3, 1)
    right = choices_of(first, 1).index(first.mistake) + 1
    wrong = (choices_of(second, 1).index(second.mistake) + 1) % 4 + 1
    output = game([str(right), str(wrong)])
    assert "1 of 2 right" in output
    assert f"no: {second.mistake}" in output
    assert "1 of 1 right" in game([str(right), "Q"])


def test_another_answer_is_requested_again() -> None:
    assert "0 of 1 right" in game(["five", "", str(wrong_choice()), "q"])


def wrong_choice() -> int:
    first, *_ = draw(3, 1)
    return (choices_of(first, 1).index(first.mistake) + 1) % 4 + 1
