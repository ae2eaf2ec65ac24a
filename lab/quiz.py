"""`lab quiz`: wrong solutions, each with one mistake to name."""

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from rich.console import Console, Group, RenderableType
from rich.syntax import Syntax

QUESTIONS = Path(__file__).with_name("quiz.json")  # made by tests/checker/quiz.py
CHOICES = 4


class Question(NamedTuple):
    """A wrong solution: its code near the mistake, and what the checker measured."""

    criterion: str
    code: str
    measured: str
    mistake: str
    correction: str  # the lines of a diff, from the wrong to the right code

    @property
    def exercise(self) -> int:
        return int(self.criterion[0])


def read_questions() -> list[Question]:
    """Return all questions, in the order of the criteria."""
    return [Question(**entry) for entry in json.loads(QUESTIONS.read_text())]


def draw(exercise: int | None, seed: int | None) -> list[Question]:
    """Return one question for each criterion, in random order."""
    chance = random.Random(seed)
    by_criterion: dict[str, list[Question]] = {}
    for question in read_questions():
        if exercise in (None, question.exercise):
            by_criterion.setdefault(question.criterion, []).append(question)
    drawn = [chance.choice(questions) for questions in by_criterion.values()]
    chance.shuffle(drawn)
    return drawn


def choices_of(question: Question, seed: int | None) -> list[str]:
    """Return the mistake among three others of the same exercise, in random order."""
    others = {
        other.mistake
        for other in read_questions()
        if other.exercise == question.exercise and other.mistake != question.mistake
    }
    chance = random.Random(f"{seed} {question.mistake}")
    choices = [question.mistake, *chance.sample(sorted(others), CHOICES - 1)]
    chance.shuffle(choices)
    return choices


def play(
    exercise: int | None, seed: int | None, read_answer: Callable[[], str], console: Console
) -> None:
    """Run the quiz until `q`, the end of the input, or the last question; print the score."""
    questions, right, answered = draw(exercise, seed), 0, 0
    for number, question in enumerate(questions, 1):
        choices = choices_of(question, seed)
        console.print(f"\n[bold]{number} of {len(questions)}, criterion {question.criterion}[/]")
        console.print(_shown(question, choices))
        choice = _choice(read_answer)
        if choice is None:
            break
        answered += 1
        is_right = choices[choice - 1] == question.mistake
        right += is_right
        console.print("[green]right[/]" if is_right else f"[red]no:[/] {question.mistake}")
        console.print(_coloured(question.correction, "diff"))
        console.print(f"  more: lab check {question.criterion} -hh", highlight=False)
    console.print(f"{right} of {answered} right", highlight=False)


def _shown(question: Question, choices: Sequence[str]) -> RenderableType:
    listed = "\n".join(f"  {number}  {choice}" for number, choice in enumerate(choices, 1))
    code = _coloured(question.code, "python")
    measured = f"The checker measured: {question.measured}"
    return Group(code, "", measured, "", "What is the mistake?", listed)


def _coloured(text: str, language: str) -> Syntax:
    return Syntax(text, language, background_color="default", word_wrap=True)


def _choice(read_answer: Callable[[], str]) -> int | None:
    """Return the first number of a choice that is typed; None for `q` and the end of the input."""
    numbers = {str(number): number for number in range(1, CHOICES + 1)}
    try:
        answers = iter(lambda: read_answer().strip().lower(), "q")
        return next((numbers[answer] for answer in answers if answer in numbers), None)
    except EOFError:
        return None
