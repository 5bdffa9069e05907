"""Build the API reference: pdoc's pages, with equations as MathML, which needs no script and no network.

In a docstring `$...$` is an equation in the line and `$$...$$` one on its own, in LaTeX.
"""

import importlib
import inspect
import pkgutil
from pathlib import Path
from types import ModuleType

import pdoc
import pdoc.render_helpers

OUTPUT = Path(__file__).parent / "_build"


def prepare(module: ModuleType) -> None:
    """Let pdoc see what it would miss in a module and in all below it."""
    for name in getattr(module, "__all__", ()):
        setattr(module, name, getattr(module, name))  # what is imported on first use
    for name, value in list(vars(module).items()):
        if hasattr(value, "__wrapped__") and not inspect.isroutine(value):
            setattr(module, name, inspect.unwrap(value))  # a kernel's source instead of a compiled object
    children = [child.name for child in pkgutil.iter_modules(getattr(module, "__path__", ())) if child.name[0] != "_"]
    if hasattr(module, "__all__"):
        module.__all__ = [*dict.fromkeys([*module.__all__, *children])]  # or it leaves the modules out
    for child in children:
        prepare(importlib.import_module(f"{module.__name__}.{child}"))


if __name__ == "__main__":
    prepare(importlib.import_module("mlp_jit"))
    pdoc.render_helpers.markdown_extensions["latex"] = None
    pdoc.render.configure(docformat="numpy")
    pdoc.pdoc("mlp_jit", output_directory=OUTPUT)
    print(f"Open {OUTPUT / 'mlp_jit.html'}")
