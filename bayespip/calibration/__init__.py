"""Whether intervals are what they say: simulation-based calibration."""

from bayespip.calibration.sbc import sbc, sbc_table

__all__ = ["sbc", "sbc_table"]
