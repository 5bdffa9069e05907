"""How `asv_bench/compare.py` decides, from times that are made up; nothing is measured."""

import importlib
import itertools
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[1] / "asv_bench"
pytestmark = pytest.mark.skipif(not BENCH.is_dir(), reason="the benchmarks are not in the source distribution")


@pytest.fixture
def compare(monkeypatch):
    """The module, with pairs enough for a median."""
    monkeypatch.syspath_prepend(BENCH)
    module = importlib.import_module("compare")
    monkeypatch.setattr(module, "PAIRS", 5)
    return module


@pytest.mark.parametrize(
    ("rounds", "expected"),
    [
        ([1.06], "slower"),
        ([1.2, 1.06, 1.3, 1.5], "slower"),
        ([1.2, 1.04, 1.3, 1.5], ""),  # one round cleared it
        ([1.0, 0.99, 1.01], ""),
        ([0.96, 0.8], ""),
        ([0.9, 0.8], "faster"),
    ],
)
def test_a_case_has_changed_where_every_round_says_so(compare, rounds, expected):
    assert compare.verdict(rounds, 0.05) == expected


class Clock:
    """A side that answers with the next of these seconds, or raises what is among them, and writes down its turns."""

    def __init__(self, compare, name, seconds, turns):
        self.compare, self.name, self.seconds, self.turns = compare, name, itertools.cycle(seconds), turns

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def ask(self, case):
        self.turns.append((self.name, case))

    def answer(self):
        seconds = next(self.seconds)
        if isinstance(seconds, str):
            raise self.compare.NotComparable(seconds)
        return seconds

    def turn(self, case):
        self.ask(case)
        return self.answer()


def test_a_round_is_the_median_over_pairs_whose_order_turns_round(compare):
    turns = []
    new = Clock(compare, "new", [1.1, 1.1, 50.0, 1.1, 0.1], turns)  # two turns that others disturbed
    base = Clock(compare, "base", [1.0], turns)
    assert compare.one_round(new, base, ["a"]) == {"a": 1.1}
    assert "".join(name[0] for name, _ in turns) == "bnnbbnnbbn"


@pytest.fixture
def sides(compare, monkeypatch):
    """Call it with the seconds of the new side and of the base, once for each pair of processes; returns the turns."""

    def replace(pairs):
        turns = []
        clocks = [Clock(compare, name, times, turns) for pair in pairs for name, times in zip("nb", pair, strict=True)]
        following = iter(clocks)
        monkeypatch.setattr(compare, "Side", lambda *arguments: next(following))
        return turns

    return replace


EVEN, SLOW = ([1.0], [1.0]), ([1.2], [1.0])


def test_a_suspect_is_measured_again_in_fresh_processes_until_a_round_clears_it(compare, sides):
    sides([EVEN, SLOW, SLOW, EVEN])  # the first compile
    assert compare.compare(Path(), ["a"], only_changed=True) == {"a": [1.2, 1.2, 1.0]}
    sides([SLOW, EVEN])
    assert compare.compare(Path(), ["a"], only_changed=True) == {"a": [1.0]}
    sides([EVEN, *[SLOW] * compare.ROUNDS])
    rounds = compare.compare(Path(), ["a"], only_changed=True)
    assert rounds == {"a": [1.2] * compare.ROUNDS}
    assert compare.verdict(rounds["a"], compare.MARGIN) == "slower"
    assert "slower  a" in compare.table(rounds, compare.MARGIN)


def test_all_cases_go_through_all_rounds_where_the_table_is_asked_for(compare, sides):
    turns = sides([EVEN] * (1 + compare.ROUNDS))
    assert compare.compare(Path(), ["a", "b"], only_changed=False) == dict.fromkeys("ab", [1.0] * compare.ROUNDS)
    assert len(turns) == 2 * 2 * (1 + compare.ROUNDS * compare.PAIRS)


def test_what_the_base_lacks_is_not_comparable_and_what_the_new_one_lacks_is_an_error(compare, sides, capsys):
    lacking = "ImportError: cannot import name 'fit'"
    sides([([1.0], [lacking, 1.0]), EVEN])
    assert compare.compare(Path(), ["a", "b"], only_changed=True) == {"b": [1.0]}
    assert f"not comparable: a: the base has {lacking}" in capsys.readouterr().out
    sides([([lacking], [1.0])])
    with pytest.raises(RuntimeError, match=f"a: {lacking}"):
        compare.compare(Path(), ["a"], only_changed=True)


def test_a_side_says_what_went_wrong_and_that_it_died(compare, tmp_path):
    with compare.Side(tmp_path) as side:
        with pytest.raises(compare.NotComparable, match="KeyError: 'no such case'"):
            side.turn("no such case")
        side.process.kill()
        side.process.wait()
        with pytest.raises(compare.NotComparable, match="the process died"):
            side.turn("no such case")


@pytest.fixture
def repository(compare, monkeypatch, tmp_path):
    """A new one. Call it with the contents of files, `__` for a slash: a commit; returns its name."""
    monkeypatch.setattr(compare, "HERE", tmp_path)
    try:
        compare.git("init", "--quiet", "--initial-branch=main")
    except FileNotFoundError:
        pytest.skip("git is not installed")

    def commit(**contents):
        for name, content in contents.items():
            path = tmp_path / name.replace("__", "/").replace("_py", ".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
        compare.git("add", "--all")
        author = "-c", "user.name=n", "-c", "user.email=n@example.org"
        compare.git(*author, "commit", "--quiet", "--message=change")
        return compare.git("rev-parse", "HEAD").decode().strip()

    return commit


def test_the_base_is_the_newest_commit_with_another_package(compare, repository):
    first = repository(mlp_jit__fit_py="1", README="1")
    assert compare.before_the_change() is None
    repository(mlp_jit__fit_py="2")
    assert compare.before_the_change() == first
    second = repository(README="2", mlp_jit__study__page_py="what no turn runs")
    assert compare.before_the_change() == first
    (compare.HERE / "mlp_jit" / "fit.py").write_text("3", encoding="utf-8")  # not committed
    assert compare.before_the_change() == second
    repository()
    assert compare.before_the_change() == second
    compare.git("update-ref", "refs/remotes/origin/main", first)  # where upstream is: the rest is the change
    assert compare.before_the_change() == first


def test_a_commit_is_checked_out_beside_this_tree(compare, repository, tmp_path):
    first = repository(mlp_jit__fit_py="1")
    repository(mlp_jit__fit_py="2")
    folder = compare.check_out(first, tmp_path / "beside")
    assert (folder / "mlp_jit" / "fit.py").read_text(encoding="utf-8") == "1"


@pytest.mark.parametrize(
    ("commits", "arguments", "said"),
    [
        (0, ["--guard"], "nothing to compare with"),  # not even a repository's first commit
        (1, ["--guard"], "nothing to compare with"),
        (1, ["HEAD"], "nothing to compare"),
    ],
)
def test_without_another_package_there_is_nothing_to_do(
    compare, repository, monkeypatch, capsys, commits, arguments, said
):
    if commits:
        repository(mlp_jit__fit_py="1")
    monkeypatch.setattr("sys.argv", ["compare.py", *arguments])
    compare.main()
    assert said in capsys.readouterr().out


def test_the_guard_fails_where_a_case_is_slower_and_the_table_does_not(compare, repository, sides, monkeypatch, capsys):
    repository(mlp_jit__fit_py="1")
    repository(mlp_jit__fit_py="2")
    sides([EVEN, *[SLOW] * compare.ROUNDS])
    monkeypatch.setattr("sys.argv", ["compare.py", "--guard"])
    with pytest.raises(SystemExit, match=f"^{len(compare.FEW)} slower by more than 5%"):
        compare.main()
    monkeypatch.setattr("sys.argv", ["compare.py", "HEAD^"])
    sides([EVEN, *[SLOW] * compare.ROUNDS])
    compare.main()
    assert capsys.readouterr().out.count("slower") == len(compare.FEW) + len(compare.ALL)


def test_an_unknown_base_is_refused(compare, repository, monkeypatch):
    repository(mlp_jit__fit_py="1")
    monkeypatch.setattr("sys.argv", ["compare.py", "nowhere"])
    with pytest.raises(SystemExit, match="nowhere is no commit"):
        compare.main()
