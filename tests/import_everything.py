"""Import every module and public name of bayespip: `python -W error import_everything.py FOLDER`, where it must lie."""

import importlib
import pkgutil
import sys
from pathlib import Path

if __name__ == "__main__":
    import bayespip

    inside = Path(sys.argv[1]).resolve()
    names = [module.name for module in pkgutil.walk_packages(bayespip.__path__, "bayespip.")]
    for name in names:
        module = importlib.import_module(name)
        assert inside in Path(module.__file__).parents, f"{name} comes from {module.__file__}"
    for name in bayespip.__all__:
        getattr(bayespip, name)
    analyses = len(bayespip.load_review("pip").analyses)
    print(f"{len(names)} modules, {len(bayespip.__all__)} public names, {analyses} analyses of the pip review.")
