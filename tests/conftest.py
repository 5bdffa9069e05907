import pytest
from hypothesis import settings
from problems import RUNNABLE

# The same examples in every run; compiling takes longer than any deadline.
settings.register_profile("mlp_jit", deadline=None, derandomize=True, database=None)
settings.load_profile("mlp_jit")


@pytest.fixture(params=RUNNABLE)
def engine(request):
    """The name of each engine that runs here in turn."""
    return request.param
