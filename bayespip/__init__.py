"""Bayesian re-analysis of published meta-analyses.

The public names stand in the stub beside this file and load their modules on first use (Scientific Python
SPEC 1), so that `import bayespip` stays light.
"""

from lazy_loader import attach_stub as _attach_stub

_load, __dir__, __all__ = _attach_stub(__name__, __file__)


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version

        return version("bayespip")
    return _load(name)
