"""The PyMC engine: the same draws for a seed, whole groups, honest diagnostics, agreement with quadrature."""

import json
from dataclasses import replace

import arviz as az
import numpy as np
import pymc as pm
import pytest
import xarray as xr
from scipy import stats

from bayespip import priors as p
from bayespip.effects import EffectSizes
from bayespip.exact.fit import exact_fit
from bayespip.fits import compare
from bayespip.mcmc import sampling
from bayespip.mcmc.diagnostics import ConvergenceError, diagnose
from bayespip.mcmc.fit import PymcFit, pymc_fit

COACHING = EffectSizes(  # Rubin 1981
    list("ABCDEFGH"),
    [28.39, 7.94, -2.75, 6.82, -0.64, 0.63, 18.01, 12.16],
    [14.9, 10.2, 16.3, 11.0, 9.4, 11.4, 10.4, 17.6],
    "MD",
)
PAIR = EffectSizes(["a", "b"], [0.1, 0.9], [0.2, 0.3], "SMD")
WEAK = p.Priors(p.normal(0, 1.55), p.half_normal(0.5))
WIDE = p.Priors(p.normal(0, 100), p.half_normal(10), name="wide")
FLAT = p.Priors(p.flat(), p.half_cauchy(0.5))
MCSE_BOUND = 5  # the run's own rule; a normal deviate exceeds it once in 1.7 million
LOG_DENSITY_TOLERANCE = 1e-12  # the same closed form, evaluated in another order


@pytest.fixture(scope="module")
def coaching() -> PymcFit:
    return pymc_fit("normal_normal", COACHING, WIDE, seed=3)


@pytest.fixture(scope="module")
def pair() -> PymcFit:
    return pymc_fit("normal_normal", PAIR, FLAT, seed=3)


def test_the_same_seed_gives_the_same_draws_whatever_ran_between(coaching: PymcFit) -> None:
    other = pymc_fit("normal_normal", PAIR, WEAK, seed=3)
    again = pymc_fit("normal_normal", COACHING, WIDE, seed=3, cores=1)
    xr.testing.assert_identical(again.data.to_dataset(), coaching.data.to_dataset())
    for group in coaching.data.children:
        xr.testing.assert_identical(again.data[group].to_dataset(), coaching.data[group].to_dataset())
    assert not np.array_equal(other.draws("mu"), coaching.draws("mu"))
    assert not np.array_equal(pymc_fit("normal_normal", COACHING, WIDE, seed=4).draws("mu"), coaching.draws("mu"))


@pytest.mark.slow
def test_the_draws_do_not_depend_on_what_a_structure_was_compiled_with(
    coaching: PymcFit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling, "_compiled", {})
    pymc_fit("normal_normal", PAIR, WEAK, seed=1)
    assert len(sampling._compiled) == 1
    fresh = pymc_fit("normal_normal", COACHING, WIDE, seed=3)
    assert len(sampling._compiled) == 1
    np.testing.assert_array_equal(fresh.draws("mu"), coaching.draws("mu"))
    np.testing.assert_array_equal(fresh.draws("theta"), coaching.draws("theta"))


def test_groups_dimensions_and_types(coaching: PymcFit) -> None:
    sample, study = ("chain", "draw"), ("chain", "draw", "study")
    found = {
        name: {str(v): array.dims for v, array in node.data_vars.items()}
        for name, node in coaching.data.children.items()
    }
    assert found.pop("sample_stats").keys() >= {"diverging", "energy", "lp", "tree_depth", "acceptance_rate"}
    assert found == {
        "posterior": {"mu": sample, "tau": sample, "theta": study, "theta_new": sample},
        "log_likelihood": {"y": study},
        "log_prior": {"mu": sample, "tau": sample},
        "posterior_predictive": {"y": study},
        "prior": {"mu": sample, "tau": sample, "theta": study, "theta_new": sample},
        "observed_data": {"y": ("study",)},
        "constant_data": {"sei": ("study",)},
    }
    assert coaching.data["posterior"].sizes == {"chain": 4, "draw": 1000, "study": 8}
    assert tuple(coaching.data["posterior"]["study"].values) == COACHING.study
    np.testing.assert_array_equal(coaching.data["observed_data"]["y"], COACHING.yi)
    np.testing.assert_array_equal(coaching.data["constant_data"]["sei"], COACHING.sei)
    kinds = {a.dtype.kind for node in coaching.data.children.values() for a in node.data_vars.values()}
    assert kinds <= set("fib")


def test_priors_that_are_improper_have_no_draws(pair: PymcFit) -> None:
    assert set(pair.data["prior"].data_vars) == {"tau"}
    improper = p.Priors(p.flat(), p.uniform(0, np.inf))
    compiled = sampling.structure("normal_normal", COACHING, WIDE)
    assert sampling._prior_draws(compiled, COACHING, improper, 5, np.random.default_rng(1)) == {}


def test_prior_draws_follow_the_priors(coaching: PymcFit) -> None:
    prior = coaching.data["prior"]
    for name, given in (("mu", WIDE.mu), ("tau", WIDE.tau)):
        assert stats.kstest(prior[name].values.ravel(), given.cdf).pvalue > 0.01
    new = (prior["theta_new"] - prior["mu"]) / prior["tau"]
    assert stats.kstest(new.values.ravel(), stats.norm.cdf).pvalue > 0.01


def test_provenance_is_plain_text_and_numbers(coaching: PymcFit) -> None:
    attrs = coaching.data.attrs
    assert json.loads(json.dumps(attrs)) == attrs
    expected = {
        "model": "normal_normal",
        "priors": "mu normal(0, 100), tau half-normal(10)",
        "priors_name": "wide",
        "seed": "3",
        "draws": 1000,
        "tune": 1000,
        "chains": 4,
        "target_accept": 0.99,
        "attempts": 1,
        "scale": "MD",
        "pymc_version": pm.__version__,
    }
    assert expected.items() <= attrs.items()


@pytest.mark.parametrize("which", ["coaching", "pair"])
def test_log_densities_are_those_of_pymc(which: str, request: pytest.FixtureRequest) -> None:
    fit: PymcFit = request.getfixturevalue(which)
    model = sampling.structure("normal_normal", fit.effects, fit.priors).module.build(fit.effects, fit.priors)
    some = xr.DataTree.from_dict({"posterior": fit.data["posterior"].to_dataset().isel(draw=slice(0, 50))})
    with model:
        likelihood = pm.stats.compute_log_likelihood(some, extend_inferencedata=False, progressbar=False)
        prior = pm.stats.compute_log_prior(some, extend_inferencedata=False, progressbar=False)
    for group, reference in (("log_likelihood", likelihood), ("log_prior", prior)):
        ours = fit.data[group].to_dataset().isel(draw=slice(0, 50))
        assert set(ours.data_vars) == set(reference.data_vars)
        for name in ours.data_vars:
            assert ours[name].dims == reference[name].dims
            np.testing.assert_allclose(
                ours[name], reference[name], rtol=LOG_DENSITY_TOLERANCE, atol=LOG_DENSITY_TOLERANCE
            )


def test_log_densities_are_the_closed_forms(pair: PymcFit) -> None:
    posterior = pair.data["posterior"]
    sd = np.sqrt(PAIR.sei**2 + posterior["tau"].values[..., None] ** 2)
    expected = stats.norm(posterior["mu"].values[..., None], sd).logpdf(PAIR.yi)
    np.testing.assert_allclose(pair.data["log_likelihood"]["y"], expected, rtol=LOG_DENSITY_TOLERANCE)
    assert not pair.data["log_prior"]["mu"].any()  # a flat prior


def test_estimates_are_quantiles_of_the_draws(coaching: PymcFit) -> None:
    for name in ("mu", "tau", "theta_new"):
        shown = getattr(coaching, name)
        expected = coaching.data["posterior"][name].quantile([0.025, 0.5, 0.975]).values
        assert [shown.lower, shown.point, shown.upper] == pytest.approx(expected, rel=1e-14)
    assert list(coaching.theta) == list(COACHING.study)
    third = coaching.data["posterior"]["theta"].sel(study="C").median()
    assert coaching.theta["C"].point == pytest.approx(float(third), rel=1e-14)
    assert coaching.prob_positive == float((coaching.data["posterior"]["mu"] > 0).mean())
    half = replace(coaching, level=0.5)
    assert half.mu.lower == pytest.approx(float(np.quantile(coaching.draws("mu"), 0.25)), rel=1e-14)


def test_a_fit_goes_into_the_comparison(coaching: PymcFit) -> None:
    table = compare(coaching, exact_fit(COACHING, WIDE), analysis="coaching")
    rows = table[table["method"] == "PyMC normal_normal"]
    assert list(rows["parameter"]) == ["mu", "tau", "theta_new", *(f"theta[{s}]" for s in COACHING.study)]
    assert (rows["prior"] == "wide").all()
    assert (rows["level"] == 0.95).all()


def test_arviz_reads_the_fit(coaching: PymcFit) -> None:
    summary = az.psense_summary(coaching.data, var_names=["mu", "tau"])
    assert list(summary.index) == ["mu", "tau"]
    assert np.isfinite(summary[["prior", "likelihood"]].to_numpy(dtype=float)).all()
    assert np.isfinite(az.loo(coaching.data).elpd)


def test_the_tree_survives_a_file(coaching: PymcFit, tmp_path: object) -> None:
    coaching.data.to_netcdf(tmp_path / "fit.nc", engine="netcdf4")
    with xr.open_datatree(tmp_path / "fit.nc", engine="netcdf4") as read:
        assert dict(read.attrs) == coaching.data.attrs
        for group in coaching.data.children:
            xr.testing.assert_equal(read[group].to_dataset(), coaching.data[group].to_dataset())


def test_diagnostics_are_those_of_arviz(coaching: PymcFit) -> None:
    table = diagnose(coaching, ("mu", "tau", "theta", "theta_new")).set_index("variable")
    assert list(table.index) == ["mu", "tau", *(f"theta[{s}]" for s in COACHING.study), "theta_new"]
    posterior = coaching.data["posterior"].to_dataset()
    pairs = {
        "rhat": az.rhat(posterior),
        "ess_bulk": az.ess(posterior, method="bulk"),
        "ess_tail": az.ess(posterior, method="tail", prob=(0.05, 0.95)),
        "mcse_mean": az.mcse(posterior, method="mean"),
        "mcse_upper": az.mcse(posterior, method="quantile", prob=0.975),
    }
    for column, reference in pairs.items():
        assert table.loc["tau", column] == pytest.approx(float(reference["tau"]), rel=1e-12)
        assert table.loc["theta[C]", column] == pytest.approx(float(reference["theta"].sel(study="C")), rel=1e-12)
    assert table.loc["mu", "ebfmi"] == pytest.approx(float(np.min(az.bfmi(coaching.data)["energy"])), rel=1e-12)
    assert (table["verdict"] == "good").all()
    assert list(diagnose(coaching)["variable"]) == ["mu", "tau"]


def test_the_mean_has_no_error_where_there_is_no_variance(pair: PymcFit) -> None:
    # flat mu, half-Cauchy tau, k = 2: a = 2, so E[tau^m] exists for m < 2 only
    table = diagnose(pair, ("mu", "tau", "theta", "theta_new")).set_index("variable")
    assert table.loc[["mu", "tau", "theta_new"], "mcse_mean"].isna().all()
    assert table.loc[["theta[a]", "theta[b]"], "mcse_mean"].notna().all()


def _spoiled(fit: PymcFit, **arrays: np.ndarray) -> PymcFit:
    """The fit with other arrays in its posterior or sample_stats."""
    groups = {name: node.to_dataset() for name, node in fit.data.children.items()}
    for name, values in arrays.items():
        group = "posterior" if name in groups["posterior"] else "sample_stats"
        groups[group] = groups[group].assign({name: (("chain", "draw"), values)})
    tree = xr.DataTree.from_dict(groups)
    tree.attrs = dict(fit.data.attrs)
    return replace(fit, data=tree)


def test_bad_chains_are_called_bad(coaching: PymcFit) -> None:
    mu = coaching.data["posterior"]["mu"].values
    apart = mu + np.array([0, 0, 0, 3])[:, None] * mu.std()
    stuck = np.repeat(mu[:, ::100], 100, axis=1)
    diverging = np.zeros(mu.shape, dtype=bool)
    diverging[2, [5, 70]] = True
    verdicts = {
        name: diagnose(_spoiled(coaching, **arrays)).set_index("variable")["verdict"]
        for name, arrays in {
            "apart": {"mu": apart},
            "stuck": {"mu": stuck},
            "nan": {"mu": np.where(diverging, np.nan, mu)},
            "diverging": {"diverging": diverging},
        }.items()
    }
    assert verdicts["apart"]["mu"].startswith("R-hat 1.")
    assert "bulk ESS" in verdicts["stuck"]["mu"]
    assert "R-hat nan" in verdicts["nan"]["mu"]
    assert "tail ESS nan is below 400" in verdicts["nan"]["mu"]
    assert verdicts["apart"]["tau"] == "good"
    assert list(verdicts["diverging"]) == ["2 divergent transitions"] * 2


def test_an_unknown_variable_is_refused(coaching: PymcFit) -> None:
    with pytest.raises(ValueError, match="variables must be among mu, tau, theta, theta_new; got mu, phi"):
        diagnose(coaching, ("mu", "phi"))


def test_too_few_draws_are_refused_after_one_remedy() -> None:
    with pytest.raises(ConvergenceError) as caught:
        pymc_fit("normal_normal", PAIR, WEAK, seed=1, draws=50, tune=200)
    message = str(caught.value)
    assert "with target_accept 0.99 and chains of 50, mu: " in message
    assert "; then with target_accept 0.999 and chains of 200, mu: " in message
    assert "ESS" in message
    assert "is below 400" in message


def test_the_remedy_is_noted_and_keeps_as_many_draws() -> None:
    fit = pymc_fit("normal_normal", PAIR, WEAK, seed=1, draws=400, tune=200)
    attrs = fit.data.attrs
    assert attrs["attempts"] == 2
    assert (attrs["draws"], attrs["thin"], attrs["tune"], attrs["target_accept"]) == (400, 4, 800, 0.999)
    assert fit.data["posterior"].sizes["draw"] == 400
    assert (diagnose(fit)["verdict"] == "good").all()


def test_thinning_keeps_the_last_transition_and_every_divergence() -> None:
    settings = {"seed": 6, "cores": 1}
    compiled = sampling.structure("normal_normal", PAIR, WEAK)
    whole = sampling.sample(compiled, PAIR, WEAK, sampling.Settings(400, 100, 1, 2, 0.5), **settings)
    thinned = sampling.sample(compiled, PAIR, WEAK, sampling.Settings(100, 100, 4, 2, 0.5), **settings)
    np.testing.assert_array_equal(thinned["posterior"]["mu"], whole["posterior"]["mu"][:, 3::4])
    marks = whole["sample_stats"]["diverging"].values
    assert marks.any()  # at so low a target_accept
    np.testing.assert_array_equal(thinned["sample_stats"]["diverging"], marks.reshape(2, 100, 4).any(axis=-1))
    assert thinned["sample_stats"].attrs == whole["sample_stats"].attrs


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": None}, "seed must be an integer from 0 to 2\\^64 - 1; got None"),
        ({"seed": -1}, "seed must be an integer .* got -1"),
        ({"seed": True}, "seed must be an integer .* got True"),
        ({"seed": 1.5}, "seed must be an integer .* got 1.5"),
        ({"level": 1}, r"level must lie in \(0, 1\); got 1"),
        ({"draws": 0}, "draws must be an integer of at least 4; got 0"),
        ({"chains": 1}, "chains must be an integer of at least 2; got 1"),
        ({"target_accept": 1.0}, r"target_accept must lie in \(0, 1\); got 1.0"),
        ({"name": "normal"}, "model must be one of .*, normal_normal, .*; got 'normal'"),
        (
            {"priors": p.Priors(p.flat(), p.uniform(0, np.inf))},
            "improper for k = 2 studies: .* a = 0 gives 1, and at least 3",
        ),
        (
            {"priors": p.Priors(p.flat(), p.density(stats.halfnorm.logpdf, "mine", tail=np.inf))},
            "mine is a density given as a Python function",
        ),
    ],
)
def test_bad_arguments_are_refused_before_sampling(arguments: dict[str, object], message: str) -> None:
    call = {"name": "normal_normal", "effects": PAIR, "priors": WEAK, "seed": 1} | arguments
    with pytest.raises(ValueError, match=message):
        pymc_fit(**call)


def test_sampling_is_silent(capfd: pytest.CaptureFixture[str]) -> None:
    pymc_fit("normal_normal", PAIR, WEAK, seed=2)
    assert capfd.readouterr() == ("", "")


AGREEMENT = [
    ("coaching, wide", COACHING, WIDE),
    ("pair, flat and half-Cauchy", PAIR, FLAT),
    ("pair, empirical pair", PAIR, p.Priors(p.student_t(0, 0.55, 5), p.inverse_gamma(1.62, 0.45))),
    ("one study", EffectSizes(["only"], [0.5], [0.2], "SMD"), WEAK),
    ("three studies, flat and uniform", EffectSizes("abc", [0.1, 0.5, -0.2], [0.2, 0.3, 0.25], "SMD"),
     p.Priors(p.flat(), p.uniform(0, 2))),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("effects", "priors"), [case[1:] for case in AGREEMENT], ids=[c[0] for c in AGREEMENT])
def test_agreement_with_the_exact_engine(effects: EffectSizes, priors: p.Priors) -> None:
    sampled, exact = pymc_fit("normal_normal", effects, priors, seed=11), exact_fit(effects, priors)
    table = diagnose(sampled, ("mu", "tau", "theta", "theta_new")).set_index("variable")
    marginals = {"mu": exact.mu, "tau": exact.tau, "theta_new": exact.theta_new}
    marginals |= {f"theta[{study}]": exact.theta[study] for study in effects.study}
    shown = {"mu": sampled.mu, "tau": sampled.tau, "theta_new": sampled.theta_new}
    shown |= {f"theta[{study}]": sampled.theta[study] for study in effects.study}
    assert set(marginals) == set(table.index)
    for name, marginal in marginals.items():
        for point, column, probability in (
            ("lower", "mcse_lower", 0.025),
            ("point", "mcse_median", 0.5),
            ("upper", "mcse_upper", 0.975),
        ):
            distance = abs(getattr(shown[name], point) - float(marginal.quantile(probability)))
            assert distance <= MCSE_BOUND * table.loc[name, column], (name, point)


@pytest.mark.slow
def test_new_estimates_follow_the_marginal_model(coaching: PymcFit) -> None:
    # given mu and tau, standardised replicates are standard normal and independent of both
    posterior, new = coaching.data["posterior"], coaching.data["posterior_predictive"]["y"]
    sd = np.hypot(coaching.data["constant_data"]["sei"], posterior["tau"])
    standardised = ((new - posterior["mu"]) / sd).values.ravel()
    assert stats.kstest(standardised, stats.norm.cdf).pvalue > 0.01
