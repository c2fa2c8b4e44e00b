"""The main job: a review in, every analysis fitted by every method, the comparison and its files out."""
