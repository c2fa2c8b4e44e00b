"""Any number of reviews pooled again: batches, resumption, many machines."""

from bayespip.sweeping.running import sweep

__all__ = ["sweep"]
