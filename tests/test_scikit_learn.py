"""What scikit-learn asks of every estimator, and of its own multilayer perceptrons."""

import os
import re
from pathlib import Path

import pytest
import sklearn
from processes import ROOT, finish, start
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from mlp_jit import MLPClassifier, MLPRegressor

if tuple(map(int, sklearn.__version__.split(".")[:2])) < (1, 9):
    pytest.skip("scikit-learn 1.9 is what the estimators are measured by", allow_module_level=True)
pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning"),
]
OF_PRIVATE_METHODS = "test_gradient"  # it calls _unpack and _loss_grad_lbfgs


@parametrize_with_checks([MLPClassifier(), MLPRegressor()])
def test_checks_of_every_estimator(estimator, check):
    check(estimator)


def those_that_every_pipeline_fails(pipeline):
    """It fits its steps in place: with scikit-learn's own estimators as well."""
    return dict.fromkeys(["check_estimators_overwrite_params", "check_dont_overwrite_parameters"], "Pipeline's own")


@parametrize_with_checks(
    [make_pipeline(StandardScaler(), Estimator(random_state=0)) for Estimator in (MLPClassifier, MLPRegressor)],
    expected_failed_checks=those_that_every_pipeline_fails,
)
def test_checks_of_every_estimator_in_a_pipeline(estimator, check):
    check(estimator)


def test_their_own_tests_pass_with_ours_in_their_place(tmp_path):
    """Run where they are installed, under a plugin that puts ours in their place."""
    paths = os.pathsep.join([str(ROOT), str(Path(__file__).parent)])
    command = "-m pytest -q -p in_their_place -p no:cacheprovider --pyargs sklearn.neural_network.tests.test_mlp"
    process = start(*command.split(), "-k", f"not {OF_PRIVATE_METHODS}",
                    cwd=tmp_path, PYTHONPATH=paths)  # fmt: skip
    out, _ = finish(process, timeout=240)
    assert int(re.search(r"(\d+) passed, 1 deselected", out)[1]) >= 50
