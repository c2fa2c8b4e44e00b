"""One outcome under many priors, and where its conclusion tips."""

import argparse
from pathlib import Path

import bayespip as bp

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument(
    "table", nargs="?", help="CSV of your studies' risk ratios or counts; two of the BCG trials if none"
)
parser.add_argument("--out", type=Path, default=Path("results"), help="folder for the files")
asked = parser.parse_args()

trials = bp.read_table(asked.table, "RR") if asked.table else bp.load_review("bcg")["1.1"].studies.iloc[[0, 6]]
effects = bp.effect_sizes(trials, "RR")

taus = (
    *(bp.priors.half_normal(scale) for scale in (0.1, 0.25, 0.5, 1.0)),
    bp.priors.half_cauchy(0.5),
    *bp.priors.empirical("RR", topic="Common Mental Disorders"),
)
for tau in taus:
    print(f"{tau}: {tau.meaning('RR')}")

priors = [
    bp.Priors(mu, tau, name=f"tau {tau}, mu {mu}")
    for mu in (bp.priors.flat(), bp.priors.normal(0, 2.82))
    for tau in taus
]
grid = bp.prior_grid(effects, priors)
mu = grid.query("parameter == 'mu'")
print(mu[["method", "prior", "point", "lower", "upper", "prob_positive"]].to_string(index=False))
for claim in ("interval", 0.975, 0.95):
    print(f"{claim}: {bp.tipping_point(effects, 'half-normal', claim)}")

asked.out.mkdir(parents=True, exist_ok=True)
grid.to_csv(asked.out / "priors.csv", index=False)
bp.plot_sensitivity(grid).figure.savefig(asked.out / "priors.png")
