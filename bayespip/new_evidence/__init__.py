"""A trial still to come, evidence from outside, and how much of either to believe."""
