"""One review, from its file to a table, a figure and a report."""

import argparse
from pathlib import Path

import bayespip as bp

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("source", nargs="?", default="bcg", help="RevMan file or data package, or a bundled review's name")
parser.add_argument("--out", type=Path, default=Path("results"), help="folder for the files")
parser.add_argument("--report", action="store_true", help="write report.html as well, which takes longer")
asked = parser.parse_args()

review = bp.read_review(asked.source) if Path(asked.source).is_file() else bp.load_review(asked.source)
print(review.title)
for note in review.notes:
    print(f"Note: {note}")

# What the file stores is computed again: a difference means that its data or settings were not understood.
stored = review.reproduce().query("verdict != 'not stored'")
if len(stored):
    print(f"{(stored['verdict'] == 'reproduced').sum()} of {len(stored)} stored numbers reproduced.")

result = bp.reanalyse(review, with_bounds=False, with_pymc=False)
mu = result.table.query("parameter == 'mu'")
print(mu[["analysis", "k", "method", "prior", "point", "lower", "upper"]].to_string(index=False))
for row in result.sentences.itertuples():
    print(f"{row.analysis}: {row.sentence}.")

asked.out.mkdir(parents=True, exist_ok=True)
result.table.to_csv(asked.out / "comparison.csv", index=False)
bp.plot_comparison(result.table).figure.savefig(asked.out / "comparison.png")
if asked.report:
    result.report(asked.out / "report.html")
