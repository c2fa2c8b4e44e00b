"""The PyMC engine: models compiled once and sampled many times, chains checked, posteriors kept whole."""
