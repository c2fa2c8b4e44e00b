"""Tables of studies, written row by row."""

import pandas as pd

from bayespip.measures import BINARY, CONTINUOUS


def frame(columns, *rows):
    return pd.DataFrame(rows, columns=["study", *columns])


def counts(*rows):
    return frame(BINARY, *rows)


def moments(*rows):
    return frame(CONTINUOUS, *rows)
