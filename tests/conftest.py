import pytest
from hypothesis import settings

from mlp_jit.engines import ENGINES

# The same examples in every run; compiling takes longer than any deadline.
settings.register_profile("mlp_jit", deadline=None, derandomize=True, database=None)
settings.load_profile("mlp_jit")


@pytest.fixture(params=ENGINES)
def engine(request):
    """The name of each engine in turn."""
    return request.param
