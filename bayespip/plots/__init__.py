"""Figures: every one is a function ``plot_x(data, *, ax=None) -> Axes`` that draws what was computed before.

Nothing here fits, shows or saves. The names stand in the stub beside this file and load on first use.
"""

from lazy_loader import attach_stub as _attach_stub

__getattr__, __dir__, __all__ = _attach_stub(__name__, __file__)
