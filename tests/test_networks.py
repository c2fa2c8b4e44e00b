"""Networks of trials: what tables give, what is refused, which comparisons can disagree."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from simulated_networks import MANY, TRIANGLE, pair

from bayespip.effects import effect_sizes
from bayespip.model_data.network_trials import Trial
from bayespip.model_data.networks import Network

# invented
MEANS = pd.DataFrame(
    {
        "study": ["a", "a", "b", "b", "b"],
        "treatment": ["control", "pip", "pip", "cbt", "control"],
        "mean": [11.0, 9.0, 8.5, 9.1, 12.0],
        "sd": [4.0, 5.0, 4.5, 3.9, 5.1],
        "n": [40, 38, 25, 27, 30],
    }
)
COUNTS = pd.DataFrame(
    {
        "study": ["a", "a", "b", "b", "c", "c", "c"],
        "treatment": ["control", "pip", "control", "cbt", "control", "pip", "cbt"],
        "event": [4, 9, 0, 3, 5, 0, 7],
        "n": [20, 22, 18, 19, 30, 31, 29],
    }
)
CONTRASTS = pd.DataFrame(
    {
        "study": ["a", "b", "b"],
        "treat_a": ["pip", "pip", "cbt"],
        "treat_b": ["control", "control", "control"],
        "yi": [-0.2, -0.3, 0.1],
        "sei": [0.2, 0.3, 0.25],
        "var_shared": [np.nan, 0.03, 0.03],
    }
)
SAME_FORMULA = 1e-13  # relative: 1/a - 1/n and b/(a n) in another order


def _pairwise(table: pd.DataFrame, study: str, treatment: str, against: str, columns: list[str]) -> pd.DataFrame:
    rows = table[table["study"] == study].set_index("treatment")
    arms = {f"{c}_{arm}": [rows.loc[name, c]] for arm, name in (("e", treatment), ("c", against)) for c in columns}
    return pd.DataFrame({"study": [study], **arms})


@pytest.mark.parametrize("measure", ["MD", "OR", "RR", "RD"])
def test_two_arms_give_the_effects_of_every_other_engine(measure: str) -> None:
    table, columns = (MEANS, ["mean", "sd", "n"]) if measure == "MD" else (COUNTS, ["event", "n"])
    network = Network.from_arms(table, measure)
    for study, treatment in (("a", "pip"), ("b", "cbt"))[: 1 if measure == "MD" else 2]:
        expected = effect_sizes(_pairwise(table, study, treatment, "control", columns), measure)
        trial = network.trials[network.study.index(study)]
        np.testing.assert_allclose(trial.yi, expected.yi, rtol=SAME_FORMULA)
        np.testing.assert_allclose(np.sqrt(trial.cov[0]), expected.sei, rtol=SAME_FORMULA)


def test_arms_share_the_variance_of_the_first() -> None:
    trial = Network.from_arms(MEANS, "MD").trials[1]
    assert trial.arms == ("pip", "cbt", "control")
    np.testing.assert_allclose(trial.yi, [0.6, 3.5], rtol=1e-13)
    own = [4.5**2 / 25, 3.9**2 / 27, 5.1**2 / 30]
    np.testing.assert_allclose(trial.cov, np.diag(own[1:]) + own[0], rtol=1e-13)
    turned = trial.against("control")
    assert turned.arms == ("control", "pip", "cbt")
    np.testing.assert_allclose(turned.yi, [-3.5, -2.9], rtol=1e-13)
    np.testing.assert_allclose(turned.cov, np.diag(own[:2]) + own[2], rtol=1e-12)


def test_a_trial_cannot_be_changed() -> None:
    yi = np.array([0.1])
    trial = Trial("x", ("a", "b"), yi, np.array([[1]]))
    yi[0] = 5
    assert trial.yi[0] == 0.1
    assert trial.cov.dtype == float
    with pytest.raises(ValueError, match="read-only"):
        trial.cov[0, 0] = 2


def test_an_empty_cell_corrects_all_arms_of_its_trial_and_no_other() -> None:
    network = Network.from_arms(COUNTS, "OR")
    corrected = [np.log(0.5 / 31.5), np.log(7.5 / 22.5)]
    np.testing.assert_allclose(network.trials[2].yi, np.array(corrected) - np.log(5.5 / 25.5), rtol=1e-13)
    np.testing.assert_allclose(network.trials[0].yi, np.log(9 / 13) - np.log(4 / 16), rtol=1e-13)


def test_contrasts_are_taken_as_they_are() -> None:
    network = Network.from_contrasts(CONTRASTS, "OR")
    assert network.treatments == ("control", "cbt", "pip")
    np.testing.assert_array_equal(network.trials[1].cov, [[0.3**2, 0.03], [0.03, 0.25**2]])
    np.testing.assert_array_equal(network.yi, [[-0.2, 0], [-0.3, 0.1]])
    np.testing.assert_array_equal(network.design, [[[0, 1], [0, 0]], [[0, 1], [1, 0]]])
    alone = Network.from_contrasts(CONTRASTS[:1].drop(columns="var_shared"), "OR")
    assert alone.places == 1


def test_the_reference_is_said() -> None:
    assert TRIANGLE.assumptions == ("Effects are against control, the treatment of that name.",)
    other = Network([pair("1", "x", "b", 0, 1), pair("2", "x", "a", 0, 1)], "SMD")
    assert other.assumptions == ("Effects are against x, the treatment in most trials (2 of 2).",)
    asked = Network(TRIANGLE.trials, "SMD", reference="pip")
    assert asked.treatments == ("pip", "cbt", "control")
    assert asked.assumptions == ("Effects are against pip, as asked.",)


def test_which_comparisons_can_be_split() -> None:
    everything = (("cbt", "control"), ("cbt", "pip"), ("control", "pip"))
    assert TRIANGLE.comparisons_to_split() == everything
    # support stands in one trial of four arms alone, which agrees with itself
    assert MANY.comparisons_to_split() == everything
    three = Trial("three", ("control", "a", "b"), np.zeros(2), np.eye(2) + 1)
    assert Network([three], "SMD").comparisons_to_split() == ()
    # without the trial of three arms, control and a are linked by no other path than their own trial
    assert Network([three, pair("two", "control", "a", 0, 1)], "SMD").comparisons_to_split() == ()
    looped = Network([three, pair("two", "control", "c", 0, 1), pair("four", "c", "a", 0, 1)], "SMD")
    # of control and c the indirect path runs through the trial of three arms
    assert looped.comparisons_to_split() == (("a", "c"), ("a", "control"), ("c", "control"))


def test_a_split_network_has_a_column_for_the_direct_evidence() -> None:
    split = MANY.split_at("control", "pip")
    assert split.columns == ("cbt", "pip", "support", "direct: pip vs control")
    assert split.trials[5].arms == ("control", "cbt", "pip")  # its first arm was cbt
    np.testing.assert_array_equal(split.design[5, :2], [[1, 0, 0, 0], [0, 0, 0, 1]])
    np.testing.assert_array_equal(split.design[0, 0], [0, 0, 0, 1])
    np.testing.assert_array_equal(split.design[3, 0], [-1, 1, 0, 0])
    assert MANY.split_at("pip", "control").columns[-1] == "direct: control vs pip"
    with pytest.raises(
        ValueError, match=r"split must be a comparison .*: cbt vs control, .*; got \('pip', 'support'\)"
    ):
        MANY.split_at("pip", "support")


def test_some_of_the_trials_keep_the_parameters_of_all() -> None:
    split = MANY.split_at("control", "pip")
    some = split.take([6, 2])
    assert some.study == ("invented 7", "invented 3")
    assert some.columns == split.columns
    np.testing.assert_array_equal(some.design, split.design[[6, 2]])
    assert MANY.take([0]).columns == MANY.columns


@pytest.mark.parametrize(
    ("trials", "message"),
    [
        ([], "at least one trial"),
        ([pair("1", "a", "b", 0, 1), pair("2", "d", "c", 0, 1)], r"no trial links these parts: \{a, b\}; \{c, d\}"),
        ([pair("1", "a", "b", 0, 1), pair("1", "a", "c", 0, 1)], "labels must be unique; repeated: 1"),
    ],
)
def test_networks_that_are_none(trials: list[Trial], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Network(trials, "SMD")


def test_trials_that_are_none() -> None:
    with pytest.raises(ValueError, match="reference must be one of cbt, control, pip; got 'placebo'"):
        Network(TRIANGLE.trials, "SMD", reference="placebo")
    with pytest.raises(ValueError, match="a trial must have two arms at least; lone has 1"):
        Trial("lone", ("a",), np.zeros(0), np.zeros((0, 0)))
    with pytest.raises(ValueError, match="must stand once in a trial; not so in x: a"):
        pair("x", "a", "a", 0, 1)
    with pytest.raises(ValueError, match="sampling errors of x must have a valid covariance"):
        Trial("x", ("a", "b", "c"), np.zeros(2), np.array([[0.1, 0.2], [0.2, 0.1]]))
    with pytest.raises(ValueError, match="yi must be finite; not so for x"):
        pair("x", "a", "b", np.nan, 1)


@pytest.mark.parametrize(
    ("change", "measure", "message"),
    [
        ({"sd": [4, 0, 1, 1, 1]}, "MD", r"sd must be positive; not so for a \(row 2: 0\)"),
        ({"n": [4, 9, 0, 1, 1]}, "MD", r"n must be positive; not so for b \(row 3: 0\)"),
        ({"treatment": ["control", None, "x", "y", "z"]}, "MD", r"treatment must have a label; not so for a \(row 2"),
        ({"study": ["a", "a", "b", "b", "lone"]}, "MD", "two arms at least; lone has 1"),
        ({}, "SMD", "measure must be one of MD, OR, RR, RD for a table of arms; got SMD"),
        ({}, "OR", "table must have event; present: study, treatment, mean, sd, n"),
        ({"event": [41, 0, 1, 1, 1]}, "OR", r"event must lie between 0 and n; not so for a \(row 1: 41 of 40\)"),
        ({"event": [0, 0, 1, 1, 1]}, "RR", "RR cannot be estimated where all arms are empty .*: leave out a"),
    ],
)
def test_tables_of_arms_that_are_refused(change: dict[str, list[object]], measure: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Network.from_arms(MEANS.assign(**change), measure)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sei": [0.2, -1, 0.2]}, r"sei must be positive; not so for b \(row 2: -1\)"),
        ({"var_shared": [0, 0.03, 0.02]}, "against one treat_b, with one var_shared; not so for b"),
        ({"treat_b": ["control", "control", "pip"]}, "against one treat_b, .* treat_b control, pip"),
        ({"var_shared": [0, 0, 0]}, "var_shared must be positive in a trial of several rows; not so for b"),
        ({"var_shared": [0, 0.07, 0.07]}, r"var_shared must be below sei\^2; not so for b \(row 3: 0.07\)"),
    ],
)
def test_tables_of_contrasts_that_are_refused(change: dict[str, list[object]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Network.from_contrasts(CONTRASTS.assign(**change), "SMD")
    with pytest.raises(ValueError, match=r"table must have var_shared, .* for b"):
        Network.from_contrasts(CONTRASTS.drop(columns="var_shared"), "SMD")


def cooper() -> Network:
    """The four arms of Cooper 2003, maternal depression."""
    path = Path(__file__).parents[2] / "shared" / "review" / "arms_verified.csv"
    if not path.exists():
        pytest.skip(f"{path.name} of ../shared/review is not here")
    table = pd.read_csv(path).rename(columns={"arm": "treatment"})
    table = table[(table["study"] == "Cooper 2003") & (table["instrument"] == "EPDS")]
    return Network.from_arms(table, "MD", reference="routine primary care")


def test_cooper_2003_has_four_arms() -> None:
    network = cooper()
    trial = network.trials[0].against("routine primary care")
    assert trial.arms[1:] == (
        "psychodynamic therapy", "cognitive behavioural therapy", "non-directive counselling"
    )  # fmt: skip
    np.testing.assert_allclose(trial.yi, [8.9 - 11.3, 9.2 - 11.3, 9.9 - 11.3], rtol=1e-12)
    own = np.array([4.2**2 / 45, 4.8**2 / 42, 5.9**2 / 47])
    np.testing.assert_allclose(trial.cov, np.diag(own) + 4.8**2 / 50, rtol=1e-12)
