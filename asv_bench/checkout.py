"""asv's environment `checkout`: the Python that asv runs in, with the package of the measured commit first on its path.

Nothing is built or installed, so a commit costs its compiling and its benchmarks. Each has a compile cache of its own,
since early ones would run what others left there.
"""

import os
import sys
from typing import Any

from asv.environment import Environment
from asv.repo import Repo
from asv.util import check_output


class Checkout(Environment):
    tool_name = "checkout"
    matches_python_fallback = False

    def __init__(self, conf: Any, python: str, requirements: dict, tagged_env_vars: dict) -> None:
        self._requirements: dict = {}  # read before the base class has set it
        super().__init__(
            conf, f"{sys.version_info.major}.{sys.version_info.minor}", self._requirements, tagged_env_vars
        )
        self.commit = ""

    def check_presence(self) -> bool:
        return os.path.isdir(self._path)

    def _setup(self) -> None:
        os.makedirs(self._path)

    def install_project(self, conf: Any, repo: Repo, commit_hash: str) -> None:
        self.checkout_project(repo, commit_hash)
        self.commit = commit_hash

    def run(self, args: list[str], **kwargs: Any) -> Any:
        """Run Python with these arguments; keywords as for `asv.util.check_output`."""
        cache = os.path.join(self._path, "numba", self.commit)
        environment = {**kwargs.pop("env", os.environ), "ASV_PYTHONPATH": self._build_root, "NUMBA_CACHE_DIR": cache}
        return check_output([sys.executable, *args], env=environment, **kwargs)
