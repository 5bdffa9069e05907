"""Many networks at once: each with the bits of its own fit."""

import itertools
import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import config

from mlp_jit import Adam, Checkpoint, EarlyStopping, Loss, MLPClassifier, Network, fit, fit_many
from mlp_jit.engines import lockstep
from mlp_jit.many import fit_all, together
from mlp_jit.optimizers import OPTIMIZERS

pytestmark = pytest.mark.skipif(config.DISABLE_JIT, reason="the lanes engine exists only compiled")
RNG = np.random.default_rng(0)
K, N = 20, 53
X, LABELS, WEIGHTS = RNG.normal(size=(N, 4)), RNG.integers(0, 3, N), RNG.integers(0, 3, N) / 2
HELD_OUT = RNG.normal(size=(37, 4)), RNG.integers(0, 3, 37), RNG.uniform(size=37)
EACH = {"learning_rate": [1e-3 * (k + 1) for k in range(K)], "random_state": list(range(K))}


@pytest.fixture(autouse=True)
def all_in_lockstep(monkeypatch, request):
    """However few; but where a test is of the choice."""
    if "choice" not in request.node.name:
        monkeypatch.setattr(together, "guessed_share", lambda n_params: 0.0)


def networks(count=K, sizes=(4, 8, 3), **options):
    return [Network(sizes, random_state=k, **{"output": "softmax", "dtype": "float64"} | options) for k in range(count)]


def learnt(network, history):
    return network.params.tobytes(), network.state.tobytes(), repr(vars(history))


def assert_as_alone(make=networks, x=X, y=LABELS, *, each=EACH, **alike):
    """`fit_many` leaves networks and histories as so many fits do."""
    several, one_by_one = make(), make()
    many = fit_many(several, x, y, **each, **alike)
    assert len(many) == len(several)
    for k, network in enumerate(one_by_one):
        of_one = {name: value[k] for name, value in each.items()}
        x_k, y_k = (part[k] if isinstance(part, list) else part for part in (x, y))
        assert learnt(several[k], many[k]) == learnt(network, fit(network, x_k, y_k, **of_one, **alike)), k


# --------------------------------------------------------------------------------------- the bits of fit


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_each_optimizer(optimizer, dtype):
    assert_as_alone(lambda: networks(dtype=dtype), optimizer=optimizer, schedule="cosine", batch_size=16, epochs=7)


SETTINGS = {
    "l2": st.sampled_from([0.0, 0.1]),
    "l2_per_sample": st.booleans(),
    "dropout": st.sampled_from([0.0, 0.3, (0.2, 0.0)]),
    "clip_norm": st.sampled_from([None, 0.05]),
    "clip_value": st.sampled_from([None, 0.01]),
    "batch_size": st.sampled_from([1, 7, 50, 200]),
    "early_stopping": st.sampled_from([None, 2]),
    "validation_data": st.sampled_from([None, HELD_OUT]),
    "sample_weight": st.sampled_from([None, WEIGHTS]),
    "schedule": st.sampled_from(["constant", "exponential", "on_plateau"]),
    "optimizer": st.sampled_from(["adam", "sgd", "nadam"]),
    "n_threads": st.sampled_from([1, 2]),
}
LAYERS = {
    "sizes": st.sampled_from([(4, 3, 9, 3), (4, 17, 5, 3)]),
    "activation": st.sampled_from(["relu", "tanh", "gelu"]),
    "dtype": st.sampled_from(["float32", "float64"]),
}


@settings(max_examples=25)
@given(st.fixed_dictionaries(LAYERS), st.fixed_dictionaries(SETTINGS), st.integers(1, 2 * K))
def test_any_settings(layers, alike, count):
    each = {name: values * 2 for name, values in EACH.items()}
    each = {name: values[:count] for name, values in each.items()}
    assert_as_alone(lambda: networks(count, **layers), each=each, epochs=3, **alike)


def test_settings_of_its_own():
    each = {
        **EACH,
        "l2": [0.1 * (k % 3) for k in range(K)],
        "dropout": [0.1 * (k % 4) for k in range(K)],
        "clip_norm": [None if k % 2 else 0.1 * (k + 1) for k in range(K)],
        "batch_size": [(16, 8)[k % 2] for k in range(K)],
        "epochs": [k % 5 for k in range(K)],
        "optimizer": [Adam(beta_1=0.8 + k / 200) for k in range(K)],
        "sample_weight": [RNG.integers(0, 3, N).astype(float) for _ in range(K)],
        "early_stopping": [EarlyStopping(1 + k % 3) for k in range(K)],
    }
    make_again = {"optimizer": lambda: [Adam(beta_1=0.8 + k / 200) for k in range(K)],
                  "early_stopping": lambda: [EarlyStopping(1 + k % 3) for k in range(K)]}  # fmt: skip
    several, one_by_one = networks(), networks()
    many = fit_many(several, X, LABELS, **each)
    each |= {name: make() for name, make in make_again.items()}
    for k, network in enumerate(one_by_one):
        history = fit(network, X, LABELS, **{name: value[k] for name, value in each.items()})
        assert learnt(several[k], many[k]) == learnt(network, history)


def test_data_of_its_own():
    """Folds and bootstraps: other samples, and not quite as many."""
    x = [RNG.normal(size=(40 + k % 7, 4)) for k in range(K)]
    y = [RNG.integers(0, 3, len(rows)) for rows in x]
    assert_as_alone(x=x, y=y, batch_size=16, epochs=5)


@pytest.mark.parametrize(
    ("output", "loss"),
    [("identity", "huber"), ("sigmoid", "binary_cross_entropy"), ("exp", "poisson"), ("step", "perceptron"),
     ("identity", Loss("fourth", lambda a, y: (a - y) ** 4, lambda a, y: 4 * (a - y) ** 3, ["identity"]))],
    ids=str,
)  # fmt: skip
def test_each_output(output, loss):
    y = RNG.integers(0, 2, (N, 3)).astype(float)
    assert_as_alone(lambda: networks(output=output, loss=loss), y=y, epochs=4, batch_size=16)


def test_a_fit_whose_loss_is_not_finite_stops_where_it_does_alone():
    each = EACH | {"learning_rate": [1e3 if k == 3 else 1e-2 for k in range(K)]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        assert_as_alone(each=each, optimizer="sgd", epochs=200)


def test_a_plateau_and_early_stopping_at_their_own_time():
    assert_as_alone(validation_data=HELD_OUT, early_stopping=3, epochs=60, batch_size=8, schedule="on_plateau")


def test_a_fit_goes_on_with_its_own_moments():
    ours, theirs = networks(), networks()
    mine, yours = [Adam() for _ in ours], [Adam() for _ in theirs]
    for _ in range(2):
        fit_many(ours, X, LABELS, optimizer=mine, epochs=3, random_state=0)
        for network, optimizer in zip(theirs, yours, strict=True):
            fit(network, X, LABELS, optimizer=optimizer, epochs=3, random_state=0)
    assert [n.params.tobytes() for n in ours] == [n.params.tobytes() for n in theirs]
    assert [o.t for o in mine] == [o.t for o in yours]
    assert [o.moments.tobytes() for o in mine] == [o.moments.tobytes() for o in yours]


@pytest.mark.threads
@pytest.mark.parametrize("n_threads", [1, 2, None])
def test_threads_change_no_bit(n_threads, monkeypatch):
    monkeypatch.setattr(lockstep.session, "PARALLEL_WORK", 0)
    several = [*networks(70), *networks(3, sizes=(4, 8, 8, 3), normalization="batch")]
    fit_many(several, X, LABELS, epochs=3, random_state=0, n_threads=n_threads, batch_size=16)
    alone = [*networks(70), *networks(3, sizes=(4, 8, 8, 3), normalization="batch")]
    for network in alone:
        fit(network, X, LABELS, epochs=3, random_state=0, batch_size=16)
    assert [n.params.tobytes() for n in several] == [n.params.tobytes() for n in alone]


def test_what_cannot_go_in_lockstep_goes_by_itself(tmp_path):
    from scipy import sparse

    mapped = np.memmap(tmp_path / "X", "float32", "w+", shape=X.shape)
    mapped[:] = X
    others = [
        *networks(2, normalization="layer"),
        *networks(2, skip=True, sizes=(4, 4, 4, 3)),
        *networks(3),
        *networks(3),
    ]
    x = [X] * 4 + [mapped] * 3 + [sparse.csr_array(X)] * 3
    assert_as_alone(lambda: [copy_of(n) for n in others], x=x, y=[LABELS] * 10, each={"random_state": list(range(10))})
    assert_as_alone(lambda: networks(3), each={}, engine="loops", random_state=1)


def copy_of(network):
    import copy

    return copy.deepcopy(network)


# --------------------------------------------------------------------------------------- which way they go


def test_the_first_choice_is_by_size(monkeypatch):
    assert together.guessed_share(42) < 0.5 < 1 < together.guessed_share(100_000)
    entered = []
    train = lockstep.Session.train
    monkeypatch.setattr(
        lockstep.Session, "train", lambda self, who, *rest: entered.append(len(who)) or train(self, who, *rest)
    )
    lanes = lockstep.Session([lockstep.Member(*member_of(networks(1, dtype="float32")[0]))]).L
    fit_many(networks(2 * lanes, dtype="float32"), X, LABELS, epochs=2, random_state=0, batch_size=16)
    assert set(entered) == {2 * lanes}
    entered.clear()
    fit_many(networks(2 * lanes + 1, dtype="float32"), X, LABELS, epochs=2, random_state=0, batch_size=16)
    assert set(entered) == {2 * lanes}  # one more would take as long as a pack
    entered.clear()
    fit_many(networks(16, sizes=(4, 500, 500, 3)), X, LABELS, epochs=1)
    assert not entered


def member_of(network):
    from mlp_jit.engines.contract import Recipe, Samples

    x, y, weight = network.check(X, LABELS, None)
    return network, Recipe(Adam(), 16), Samples(x, y, weight)


@pytest.mark.parametrize("pack", [0.0, np.inf])
def test_the_later_choice_is_what_was_measured(pack, monkeypatch):
    """Bits do not depend on what is tried, nor on what comes of it."""
    monkeypatch.setattr(together, "PATIENCE", 0.0)
    took = together.Lockstep._took

    def as_if(self, *arguments):
        took(self, *arguments)
        self.of_pack = pack

    monkeypatch.setattr(together.Lockstep, "_took", as_if)
    chosen = []
    train_each = together._train_each
    monkeypatch.setattr(together, "_train_each", lambda fits, n: (chosen.append(len(fits)), train_each(fits, n)))
    assert_as_alone(epochs=9, early_stopping=9, batch_size=16)
    assert chosen == [K if pack else K % lockstep.Session([lockstep.Member(*member_of(networks(1)[0]))]).L * 0]


# --------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"learning_rate": [0.1, 0.2]}, ValueError, "learning_rate: expected one for all or one for each of 3"),
        ({"learning_rate": [0.1, 0.2, -1]}, ValueError, "network 2: learning_rate: expected a number > 0"),
        ({"random_state": np.random.default_rng(0)}, TypeError, "random_state: expected a seed for all, or a gen"),
        ({"optimizer": [Adam()] * 3}, ValueError, "same"),
        ({"X": X[:, :3]}, ValueError, "network 0: X: expected shape"),
        ({"X": [X, X]}, ValueError, "X: expected one for all or one for each of 3 networks, got 2"),
        ({"y": [LABELS, LABELS, LABELS[:-1]]}, ValueError, "network 2: y: expected"),
        ({"validation_data": X}, TypeError, r"network 0: validation_data: expected \(X, y\)"),
        ({"n_threads": 0}, ValueError, "n_threads: expected an integer >= 1"),
        ({"engine": "fast"}, ValueError, "network 0: engine: expected one of"),
        ({"dropout": (0.1, 0.2)}, ValueError, "network 0: dropout: expected one number or one for each of 1 hidden"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_and_nothing_changes(settings, error, message):
    nets = networks(3)
    before = [n.params.copy() for n in nets]
    arguments = {"X": X, "y": LABELS} | settings
    if message == "same":
        one = Adam()
        arguments["optimizer"], message = [one] * 3, "optimizer: expected each network to have its own, got one twice"
    with pytest.raises(error, match=message):
        fit_many(nets, arguments.pop("X"), arguments.pop("y"), **arguments)
    assert all(np.array_equal(n.params, p) for n, p in zip(nets, before, strict=True))


def test_one_network_twice_and_what_is_none():
    nets = networks(2)
    with pytest.raises(ValueError, match="networks: expected each to be another object"):
        fit_many([nets[0], nets[0]], X, LABELS)
    with pytest.raises(TypeError, match="network 1: network: expected a Network, got 3"):
        fit_many([nets[0], 3], X, LABELS)
    assert fit_many([], X, LABELS) == []


def test_one_object_for_all_is_copied_for_each():
    adam, stopping = Adam(), EarlyStopping(2)
    fit_many(networks(3), X, LABELS, optimizer=adam, early_stopping=stopping, epochs=3)
    assert adam.t == 0
    assert stopping.best_params is None


# --------------------------------------------------------------------------------------- Ctrl-C


@pytest.mark.parametrize("where", ["in lockstep", "alone"])
def test_ctrl_c_ends_all_and_leaves_them_usable(where, monkeypatch):
    calls = itertools.count()

    def interrupted(function):
        def call(*arguments):
            if next(calls) == 2:
                raise KeyboardInterrupt
            return function(*arguments)

        return call

    if where == "alone":
        monkeypatch.setattr(together, "guessed_share", lambda n_params: 1.0)
        monkeypatch.setattr(together.Run, "serve", interrupted(together.Run.serve))
    else:
        monkeypatch.setattr(lockstep.Session, "train", interrupted(lockstep.Session.train))
    nets = networks(K)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        histories = fit_many(nets, X, LABELS, epochs=10**6, batch_size=16, n_threads=1)
    assert any(h.loss for h in histories)
    assert all(h.stopped.startswith("interrupted after") for h in histories)
    assert all(np.isfinite(n.params).all() for n in nets)


CTRL_C = """
import numpy as np, os, signal, threading, warnings
signal.signal(signal.SIGINT, signal.default_int_handler)
from mlp_jit import Network, fit_many
rng = np.random.default_rng(0)
X, y = rng.normal(size=(200, 4)), rng.integers(0, 3, 200)
networks = [Network([4, 8, 3], output="softmax", random_state=k) for k in range(64)]
fit_many(networks, X, y, epochs=1)
threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    histories = fit_many(networks, X, y, epochs=10**9)
assert all(h.stopped.startswith("interrupted") for h in histories)
assert all("interrupted by user" in str(w.message) for w in caught) and len(caught) == 64
fit_many(networks, X, y, epochs=1)
print("usable")
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for a child")
def test_a_real_ctrl_c():
    done = subprocess.run([sys.executable, "-c", CTRL_C], capture_output=True, text=True, timeout=120)
    assert done.stdout == "usable\n", done.stderr


# --------------------------------------------------------------------------------------- checkpoints


def checkpointed(path, epochs=6, **changes):
    """What a run with everything comes to: some networks in lockstep, some by themselves."""
    nets = [*networks(9, sizes=(4, 6, 3)), *networks(2, normalization="batch")]
    given = {
        "dropout": 0.2, "batch_size": 16, "validation_data": HELD_OUT, "early_stopping": 3, "schedule": "on_plateau",
        "learning_rate": [1e-2 * (1 + k % 4) for k in range(11)], "random_state": list(range(11)),
    }  # fmt: skip
    histories = fit_many(nets, X, LABELS, epochs=epochs, checkpoint=path, n_threads=1, **given | changes)
    return [learnt(*pair) for pair in zip(nets, histories, strict=True)]


class Killed(BaseException):
    """No Ctrl-C: nothing is written when it comes."""


@pytest.mark.parametrize("ends", [Killed, KeyboardInterrupt])
def test_a_run_that_was_cut_ends_as_one_that_was_not(ends, tmp_path, monkeypatch):
    whole, path, calls = checkpointed(None), tmp_path / "run.mlp", itertools.count()

    def cut(function):
        def call(*arguments):
            if next(calls) % 7 == 6:
                raise ends
            return function(*arguments)

        return call

    monkeypatch.setattr(lockstep.Session, "train", cut(lockstep.Session.train))
    monkeypatch.setattr(together.Run, "serve", cut(together.Run.serve))
    cuts = 0
    while True:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                again = checkpointed(Checkpoint(path, every=0))
            if not any("interrupted" in one[2] for one in again):
                break
        except Killed:
            pass
        cuts += 1
        assert cuts < 50
    assert again == whole
    assert cuts > 1
    calls = itertools.count()
    assert checkpointed(path) == whole
    assert next(calls) == 0  # nothing was left to do
    assert os.listdir(tmp_path) == ["run.mlp"]


def test_what_goes_on_from_a_checkpoint_trains_the_moments_that_it_has(tmp_path, monkeypatch):
    """Its optimizer has other arrays than before it was restored."""
    train, looked = lockstep.Session.train, []

    def look(self, who, *given):
        for k in who:
            moments = self.members[k].recipe.optimizer.moments
            looked.append(self.networks["m"][k] * self.item == moments.ctypes.data)
        if len(looked) == 4 * K:
            raise Killed
        train(self, who, *given)

    monkeypatch.setattr(lockstep.Session, "train", look)
    settings = {
        "epochs": 6,
        "batch_size": 16,
        "random_state": 0,
        "checkpoint": Checkpoint(tmp_path / "run.mlp", every=0),
    }
    with pytest.raises(Killed):
        fit_many(networks(), X, LABELS, **settings)
    again = networks()
    fit_many(again, X, LABELS, **settings)
    assert all(looked)
    assert len(looked) > 5 * K
    whole = networks()
    fit_many(whole, X, LABELS, epochs=6, batch_size=16, random_state=0)
    assert [n.params.tobytes() for n in again] == [n.params.tobytes() for n in whole]


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"epochs": 7}, "epochs: 6 there, 7 here"), ({"learning_rate": 0.1}, "learning_rate: .* there, 0.1 here")],
)
def test_another_run_is_refused(changes, words, tmp_path):
    checkpointed(tmp_path / "run.mlp")
    before = (tmp_path / "run.mlp").read_bytes()
    with pytest.raises(ValueError, match=f"expected a checkpoint of this run, got one of another .*{words}"):
        checkpointed(tmp_path / "run.mlp", **changes)
    assert (tmp_path / "run.mlp").read_bytes() == before


def test_a_checkpoint_of_one_fit_is_not_that_of_many(tmp_path):
    path = tmp_path / "run.mlp"
    fit(networks(1)[0], X, LABELS, checkpoint=path)
    with pytest.raises(ValueError, match="got one of another"):
        fit_many(networks(1), X, LABELS, checkpoint=path)


# --------------------------------------------------------------------------------------- estimators


def test_estimators_end_as_each_alone():
    settings = [
        {"alpha": alpha, "learning_rate_init": rate, "hidden_layer_sizes": hidden, "early_stopping": stops,
         "solver": solver, "learning_rate": rule}
        for alpha, rate, hidden, stops, (solver, rule) in itertools.product(
            (1e-4, 0.1), (1e-3, 3e-2), ((5,), (6, 4)), (False, True),
            (("adam", "constant"), ("sgd", "adaptive"), ("sgd", "invscaling"), ("adam", "cosine")),
        )
    ]  # fmt: skip
    settings.append({"solver": "lbfgs"})
    made = [[MLPClassifier(random_state=0, max_iter=40, **one) for one in settings] for _ in range(2)]
    count = len(settings)
    weights = [None, WEIGHTS + 0.1] * (count // 2) + [None]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit_all(made[0], [X] * count, [LABELS] * count, weights)
        for one, weight in zip(made[1], weights, strict=True):
            one.fit(X, LABELS, weight)
    kept = "n_iter_", "t_", "loss_", "loss_curve_", "best_loss_", "validation_scores_", "best_validation_score_"
    for k, (ours, alone) in enumerate(zip(*made, strict=True)):
        assert ours.network_.params.tobytes() == alone.network_.params.tobytes(), settings[k]
        assert [repr(vars(ours).get(name)) for name in kept] == [repr(vars(alone).get(name)) for name in kept]
        assert vars(ours).keys() == vars(alone).keys()


def test_an_estimator_that_is_refused_leaves_all_as_they_were():
    good, bad = MLPClassifier(), MLPClassifier(alpha=-1)
    with pytest.raises(ValueError, match="alpha"):
        fit_all([good, bad], [X, X], [LABELS, LABELS], [None, None])
    assert "network_" not in vars(good)
    assert "classes_" not in vars(good)
