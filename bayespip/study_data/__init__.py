"""A table of studies before it becomes effects: its columns and values checked, arms combined, split, adjusted."""
