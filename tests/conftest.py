import importlib
import shutil
import sys

import pytest
from hypothesis import settings
from problems import RUNNABLE

import mlp_jit
from mlp_jit.engines.lanes import blueprint
from mlp_jit.engines.loops import session as loops

# The same examples in every run; compiling takes longer than any deadline.
settings.register_profile("mlp_jit", deadline=None, derandomize=True, database=None)
settings.load_profile("mlp_jit")


@pytest.fixture(params=RUNNABLE)
def engine(request):
    """The name of each engine that runs here in turn."""
    return request.param


@pytest.fixture
def short_chunks(monkeypatch):
    """Call it, and from then on the compiled engines hold no more than 32 samples at a time."""

    def shorten():
        monkeypatch.setattr(loops, "ROWS", 32)
        monkeypatch.setattr(blueprint, "CHUNK_ROWS", 1)  # a block
        monkeypatch.setattr(blueprint, "chunk_bytes", lambda: 1)
        monkeypatch.setattr(blueprint, "_known", {})

    return shorten


@pytest.fixture(scope="session")
def estimators_alone():
    """The package of estimators once more, imported as where scikit-learn is not installed."""
    whole = importlib.import_module("mlp_jit.estimators")
    hidden = {name: module for name, module in sys.modules.items() if name.startswith(("sklearn", whole.__name__))}
    for name in hidden:
        del sys.modules[name]
    sys.modules["sklearn"] = None
    try:
        return importlib.import_module(whole.__name__)
    finally:
        for name in [name for name in sys.modules if name.startswith(("sklearn", whole.__name__))]:
            del sys.modules[name]
        sys.modules.update(hidden)
        mlp_jit.estimators = whole


@pytest.fixture(scope="module")
def browser():
    """The system's Chromium or Chrome, or Playwright's own; without any of them the tests fail and say so."""
    from playwright.sync_api import Error, sync_playwright

    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        except Error as error:
            pytest.fail(f"no browser ({found or 'none on the path'}): apt-get install chromium, or the like\n{error}")
        yield browser
        browser.close()


@pytest.fixture(params=["with scikit-learn", "without"])
def estimators(request):
    """The module with MLPClassifier and MLPRegressor, as it is with scikit-learn and without."""
    if request.param == "without":
        return request.getfixturevalue("estimators_alone")
    return importlib.import_module("mlp_jit.estimators")


@pytest.fixture(params=["MLPClassifier", "MLPRegressor"])
def Estimator(request, estimators):
    """Each of the two, with scikit-learn and without."""
    return getattr(estimators, request.param)
