"""Simulated reviews as RevMan 5 files, as many as a test wants; and a folder as what it holds."""

import random

from rm5_files import outcome, review, row


def simulated_file(folder, number, outcomes=2):
    """A review of dichotomous outcomes with two or three trials each; every number simulated."""
    rng = random.Random(number)  # noqa: S311  (repeatable, not secret)
    parts = [_outcome(rng, i) for i in range(1, outcomes + 1)]
    path = folder / f"simulated-{number:04d}.rm5"
    path.write_text(review(*parts, title=f"Simulated review {number}"), encoding="utf-8")
    return path


def _outcome(rng, number):
    rows = []
    for study in "ABC"[: rng.choice((2, 3))]:
        totals = [rng.randint(15, 90) for _ in range(2)]
        events = [rng.randint(1, total - 1) for total in totals]
        counts = {"EVENTS_1": events[0], "TOTAL_1": totals[0], "EVENTS_2": events[1], "TOTAL_2": totals[1]}
        rows.append(row("DICH", f"STD-{study}", **{name: str(n) for name, n in counts.items()}))
    return outcome("DICH", *rows, no=number, name=f"Outcome {number}", METHOD="IV")


def contents(folder):
    """Bytes of every file in it, by its place; folders too, so that an empty one shows."""
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in sorted(folder.rglob("*"))}
