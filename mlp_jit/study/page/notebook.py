"""The page in a notebook."""

from typing import Any

from .build import script, style
from .record import record


def widget() -> Any:
    """The page as an anywidget, for the last line of a notebook's cell. ImportError without anywidget."""
    try:
        import anywidget
        import traitlets
    except ImportError:
        raise ImportError("the notebook widget needs anywidget: pip install 'mlp_jit[notebook]'") from None
    traits = {"_esm": script(), "_css": style(), "record": traitlets.Dict().tag(sync=True)}
    return type("Study", (anywidget.AnyWidget,), traits)(record=record())
