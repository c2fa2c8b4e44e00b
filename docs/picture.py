"""The README's picture of the parent-infant psychotherapy review: `make picture`."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pandas as pd
from PIL import Image

import bayespip as bp

DOCS = Path(__file__).parent
DPI, COLOURS = 150, 64  # sharp at a page's width, under 300 kB


def draw(table: Path, file: Path) -> None:
    """Every outcome of a re-analysis, from its table."""
    drawn = BytesIO()
    bp.plot_comparison(pd.read_parquet(table)).get_figure().savefig(drawn, format="png", dpi=DPI)
    Image.open(drawn).convert("RGB").quantize(COLOURS).save(file, optimize=True)


if __name__ == "__main__":
    draw(DOCS.parent / "results/comparison.parquet", DOCS / "comparison.png")
