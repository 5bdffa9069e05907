"""The page in a notebook, and a walk."""

import html
from itertools import islice
from typing import Any

from ..exercise import Exercises
from ..listing import kernels_of
from ..walking import Walk
from .build import alone, script, style
from .practice import practice_of
from .program import listing, setting_of, step_of
from .record import record

STATEMENTS, UNITS = 3000, 12  # so many are shown in a notebook; units a layer
FRAME = "width: 100%; height: 860px; border: 0"


def widget() -> Any:
    """The page as an anywidget, for the last line of a notebook's cell. ImportError without anywidget."""
    try:
        import anywidget
        import traitlets
    except ImportError:
        raise ImportError("the notebook widget needs anywidget: pip install 'mlp_jit[notebook]'") from None
    traits = {"_esm": script(), "_css": style(), "record": traitlets.Dict().tag(sync=True)}
    return type("Study", (anywidget.AnyWidget,), traits)(record=record())


def walk_html(walk: Walk) -> str:
    """A walk as a page of its own in a frame, whose keys and style touch nothing around it; as text if it is wide."""
    if max(walk.network.sizes) > UNITS:
        return f"<pre>{html.escape(str(walk), quote=False)}</pre>"
    walked = iter(walk)
    steps = [*islice(walked, STATEMENTS)]
    data = {
        **setting_of(walk),
        "programs": [listing(kept) for kept in kernels_of(steps)],
        "steps": [step_of(step) for step in steps],
        "cut": next(walked, None) is not None,
    }
    return _frame("walk", "A step of training, statement by statement", data)


def exercises_html(exercises: Exercises) -> str:
    """Exercises in a frame of their own, with a place for each answer and a score."""
    return _frame("exercises", f"Exercises, seed {exercises.seed}", practice_of(exercises))


def _frame(name: str, title: str, data: dict[str, Any]) -> str:
    page = html.escape(alone(name, title, data))
    return f'<iframe srcdoc="{page}" title="{title}" style="{FRAME}"></iframe>'
