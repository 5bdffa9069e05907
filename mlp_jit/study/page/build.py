"""One file from many: the JavaScript as a single module, and the page that carries it, its style and the record."""

import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

from .record import record

# In the order in which they need each other.
MODULES = (
    "html", "random", "activations", "loops", "run", "machine", "step", "check", "plane", "network", "unit",
    "listing", "picture", "grids", "walk", "why", "exercises",
    "curve", "representation", "gallery", "vanishing", "snippet", "shell", "page",
)  # fmt: skip
# What is shown alone in a notebook: its modules and how it starts.
ALONE = {
    "walk": (("html", "listing", "picture", "grids", "walk"), "walk$.walk(box, data, data.steps)"),
    "exercises": (("html", "exercises"), "exercises$.exercises(box, [data])"),
}


def source(name: str) -> str:
    """A file of this folder, as text."""
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def script() -> str:
    """The page as one ES module whose default export has `render({model, el})`, as anywidget wants it.

    Each file becomes a function that is called once and returns what the file exports, so that its names stay its own.
    """
    return "\n".join([*map(_wrapped, MODULES), "export default page$;", ""])


def _wrapped(name: str) -> str:
    body = source(f"{name}.js")
    body = re.sub(r'^import (\{[^}]*\}) from "\./(\w+)\.js";$', r"const \1 = \2$;", body, flags=re.MULTILINE)
    exported = re.findall(r"^export (?:const|function|class) (\w+)", body, re.MULTILINE)
    body = re.sub(r"^export ", "", body, flags=re.MULTILINE)
    return f"const {name}$ = (() => {{\n{body}return {{ {', '.join(exported)} }};\n}})();\n"


def style() -> str:
    """The page's CSS, everything in it under `.mlp-study`."""
    return source("page.css") + source("walk.css")


def page(data: dict[str, Any]) -> str:
    """The whole HTML file for what `record.record` returned."""
    return _filled("page.html", STYLE=style(), RECORD=_json(data), SCRIPT=script())


def alone(name: str, title: str, data: dict[str, Any]) -> str:
    """The HTML file of one part of the page, of `ALONE`, with its data."""
    modules, start = ALONE[name]
    script = "\n".join([*map(_wrapped, modules), f"const alone = (box, data) => {start};"])
    return _filled("alone.html", TITLE=title, STYLE=style(), RECORD=_json(data), SCRIPT=script)


def _json(data: dict[str, Any]) -> str:
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False)


def _filled(template: str, **parts: str) -> str:
    for name, part in parts.items():
        if "</script" in part or "</style" in part:
            raise ValueError(f"{name}: an end tag inside would end the page's element early")
    return re.sub(r"<!--(TITLE|STYLE|RECORD|SCRIPT)-->", lambda found: parts[found.group(1)], source(template))


def write(path: str | Path) -> int:
    """Record, build and write the page to `path`; returns its size in bytes. OSError if it cannot be written."""
    return Path(path).write_bytes(page(record()).encode())
