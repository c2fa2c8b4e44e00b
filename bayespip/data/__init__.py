"""The bundled reviews: CSV tables as printed, and a TOML codebook a review."""
