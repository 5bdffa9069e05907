import pytest
from hypothesis import settings
from problems import RUNNABLE

from mlp_jit.engines import loops, workspace

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
        monkeypatch.setattr(workspace, "CHUNK_ROWS", 1)  # a block
        monkeypatch.setattr(workspace, "CHUNK_BYTES", 1)
        workspace.shape_of.cache_clear()

    yield shorten
    workspace.shape_of.cache_clear()
