"""The report of a re-analysis: its words, its tables and one HTML file that holds them all."""
