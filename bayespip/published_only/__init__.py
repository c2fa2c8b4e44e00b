"""What can be said of the study data, and of the posterior, when only the pooled result was published."""
