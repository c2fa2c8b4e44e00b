"""Many reviews pooled again, and how often methods disagree about an interval that excludes no effect."""

import argparse
from pathlib import Path

import pandas as pd

import bayespip as bp

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("files", nargs="*", default=["bcg", "coaching"], help="files of reviews, or bundled reviews' names")
parser.add_argument("--out", type=Path, default=Path("results"), help="folder for the dataset")
asked = parser.parse_args()

# Interrupted and started again with the same arguments, it goes on where it was.
swept = bp.sweep(asked.files, asked.out, priors=["weakly informative"])
print(", ".join(f"{name}: {number}" for name, number in swept.counts.items()))
print("Without a result, and why:")
print(pd.read_csv(swept.folder / "skipped.csv").to_string(index=False))

mu = pd.read_parquet(swept.folder / "results").query("parameter == 'mu'").dropna(subset=["lower_model", "upper_model"])
mu["way"] = (mu["method"] + ", " + mu["prior"]).str.removesuffix(", ")
mu["excludes no effect"] = (mu["lower_model"] > 0) | (mu["upper_model"] < 0)
mu["width"] = mu["upper_model"] - mu["lower_model"]  # model scale: log for ratios

for studies, some in (("any number of studies", mu), ("five studies or fewer", mu[mu["k"] <= 5])):
    if len(some):
        shares = some.groupby(["measure", "way"], observed=True).agg(
            {"k": "size", "excludes no effect": "mean", "width": "median"}
        )
        print(f"\nAnalyses of {studies}: their number, share that excludes no effect, median width")
        print(shares.rename(columns={"k": "analyses"}).to_string())
