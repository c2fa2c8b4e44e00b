"""Whether intervals are what they say: simulation-based calibration, and operating characteristics."""

from bayespip.calibration.operating import operating_characteristics
from bayespip.calibration.ranks import sbc, sbc_table
from bayespip.calibration.scenarios import TRIALS, Arms, Errors, Scenario

__all__ = ["TRIALS", "Arms", "Errors", "Scenario", "operating_characteristics", "sbc", "sbc_table"]
