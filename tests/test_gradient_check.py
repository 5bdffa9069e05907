"""check_gradients: agrees with a right gradient, and says where a wrong one is wrong."""

import numpy as np
import pytest
from problems import PAIRS, problem

from mlp_jit import Network
from mlp_jit.engines import ENGINES
from mlp_jit.study import check_gradients


@pytest.mark.parametrize(("loss", "output"), [pair for pair in PAIRS if pair[1] != "step"])
def test_every_loss(loss, output):
    network, X, y, weight = problem((3, 5, 2), activation="tanh", loss=loss, output=output, n=7)
    check = check_gradients(network, X, y, sample_weight=weight, l2=0.1, engine="loops")
    assert check.ok
    assert len(check.parameters) == network.n_params
    np.testing.assert_array_equal(
        check.backprop, network.gradient(X, y, sample_weight=weight, l2=0.1, engine="loops")[1]
    )
    assert check.error[~check.at_kink].max() < 1e-6
    np.testing.assert_allclose(check.numeric[~check.at_kink], check.backprop[~check.at_kink], rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_float32_network_is_checked_in_float64_and_not_changed(engine):
    network, X, y, _ = problem((4, 6, 3), dtype="float32", activation="gelu", output="softmax", n=20)
    before = network.params.copy()
    check = check_gradients(network, X, y, engine=engine)
    assert check.ok
    assert check.backprop.dtype == np.float64
    np.testing.assert_array_equal(network.params, before)
    assert network.dtype == np.float32


def test_a_wrong_entry_comes_first_by_its_name(monkeypatch):
    network, X, y, _ = problem((2, 3, 1), activation="tanh", output="sigmoid", n=20)
    right = ENGINES["loops"].session.gradient

    def wrong(*arguments, **options):
        loss, gradient = right(*arguments, **options)
        gradient[5] *= 1.0001  # W¹ is 2 × 3: from unit 2 to unit 3
        return loss, gradient

    monkeypatch.setattr(ENGINES["loops"].session, "gradient", wrong)
    check = check_gradients(network, X, y, engine="loops")
    assert not check.ok
    assert check.name(check.worst[0]) == "w^{1}_{23}"
    assert check.error[check.worst[0]] == pytest.approx(1e-4, rel=0.01)
    rows = str(check).splitlines()
    assert "13 parameters, 1 wrong" in rows[2]
    assert next(row for row in rows if "w¹_23" in row).endswith("wrong")
    assert [rows.index(row) for row in rows if "¹_23" in row] == [
        rows.index(next(r for r in rows if "backprop" in r)) + 1
    ]
    assert "w<sup>1</sup><sub>23</sub>" in check._repr_html_()


def test_a_kink_is_no_error():
    # z = w x + b is 0 at the sample, where ReLU's slopes are 0 and 1: no derivative there, and backprop says 0.
    network = Network([1, 1, 1], activation="relu", dtype="float64")
    network.params[:] = 1, -1, 1, 0
    check = check_gradients(network, [[1.0]], [3.0])
    assert check.at_kink.tolist() == [True, True, False, False]
    assert check.ok
    assert "2 at a kink" in str(check)


def test_names_run_through_the_layers():
    network, X, y, _ = problem((2, 12, 1), n=3)
    check = check_gradients(network, X, y)
    names = [check.name(place) for place in range(network.n_params)]
    assert names[:2] == ["w^{1}_{11}", "w^{1}_{12}"]
    assert names[11] == "w^{1}_{1,12}"
    assert names[24] == "b^{1}_{1}"
    assert names[36] == "w^{2}_{11}"
    assert names[48] == "b^{2}_{1}"
    assert len(set(names)) == 49


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("normalization", ["batch", "layer", ["batch", None, "layer"]])
def test_normalisation_and_skips(normalization, engine):
    network, X, y, weight = problem(
        (2, 4, 4, 4, 3), dtype="float32", activation="tanh", output="sigmoid", normalization=normalization, skip=True,
        n=7,
    )  # fmt: skip
    check = check_gradients(network, X, y, sample_weight=weight, engine=engine)
    assert check.ok, str(check)
    assert len(check.parameters) == network.n_params
    assert check.loss == pytest.approx(network.gradient(X, y, sample_weight=weight, engine="loops")[0], rel=1e-5)
    assert check_gradients(network, X, y, l2=0.1, engine=engine).ok
    assert network.state.dtype == np.float32
    names = [check.name(place) for place in range(network.n_params)]
    assert len(set(names)) == network.n_params
    assert names[8:16] == [*(f"b^{{1}}_{{{j}}}" for j in range(1, 5)), *(rf"\gamma^{{1}}_{{{j}}}" for j in range(1, 5))]
    assert names[16] == "w^{2}_{11}"
    assert f"{network.n_params} parameters, none wrong" in str(check)


def test_a_wrong_gain_is_named(monkeypatch):
    network, X, y, _ = problem((2, 3, 1), activation="tanh", normalization="batch", n=7)
    right = ENGINES["loops"].session.gradient

    def wrong(*arguments, **options):
        loss, gradient = right(*arguments, **options)
        gradient[10] *= 1.001  # W¹ is 2 × 3, then b¹ and γ¹
        return loss, gradient

    monkeypatch.setattr(ENGINES["loops"].session, "gradient", wrong)
    check = check_gradients(network, X, y, engine="loops")
    assert check.name(check.worst[0]) == r"\gamma^{1}_{2}"
    assert "γ¹_2" in str(check)
    assert not check.ok


def test_of_a_large_network_some_are_checked():
    network, X, y, _ = problem((20, 30, 5), output="softmax", n=10)
    check = check_gradients(network, X, y, at_most=50)
    assert check.ok
    assert len(set(check.parameters.tolist())) == 50
    assert "50 of 785 parameters" in str(check)
    again = check_gradients(network, X, y, at_most=50)
    np.testing.assert_array_equal(check.parameters, again.parameters)


def test_bad_input():
    network, X, y, _ = problem((2, 3, 1), n=4)
    with pytest.raises(TypeError, match="network: expected a Network"):
        check_gradients(None, X, y)
    with pytest.raises(ValueError, match="engine: expected one of"):
        check_gradients(network, X, y, engine="abacus")
    with pytest.raises(ValueError, match="at_most"):
        check_gradients(network, X, y, at_most=0)
    with pytest.raises(ValueError, match="got 'step'"):
        check_gradients(Network([2, 1], output="step"), X, [0, 1, 1, 0])
