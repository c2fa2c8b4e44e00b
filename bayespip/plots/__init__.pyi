from .bias import plot_rob
from .calibration import plot_calibration
from .checks import plot_checks
from .comparison import plot_comparison
from .forest import plot_forest
from .funnel import plot_funnel
from .joint import plot_joint
from .matrix import plot_matrix
from .models import plot_models
from .operating import plot_operating
from .predictive import plot_predictive
from .sensitivity import plot_sensitivity
from .shrinkage import plot_shrinkage
from .style import drawing
from .tau import plot_tau
from .tipping import plot_tipping

__all__ = [
    "drawing",
    "plot_calibration",
    "plot_checks",
    "plot_comparison",
    "plot_forest",
    "plot_funnel",
    "plot_joint",
    "plot_matrix",
    "plot_models",
    "plot_operating",
    "plot_predictive",
    "plot_rob",
    "plot_sensitivity",
    "plot_shrinkage",
    "plot_tau",
    "plot_tipping",
]
