"""The exercises as the page has them."""

from typing import Any

from ..document import math_to_html
from ..exercise import NEAR, Exercises


def practice_of(exercises: Exercises) -> dict[str, Any]:
    """Questions, hints and choices as HTML, with the answers."""
    return {
        "seed": exercises.seed,
        "near": NEAR,
        "given": [*map(math_to_html, exercises.given)],
        "exercises": [
            {
                "question": math_to_html(exercise.question),
                "answer": exercise.answer,
                "whole": exercise.whole,
                "hints": [*map(math_to_html, exercise.hints)],
                "choices": [*map(math_to_html, exercise.choices)],
            }
            for exercise in exercises
        ],
    }
