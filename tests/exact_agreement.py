"""A sampled fit against the exact engine, in Monte Carlo standard errors."""

from typing import Any

from grid_posterior import MCSE_BOUND

from bayespip.exact.fit import ExactFit
from bayespip.mcmc.diagnostics import diagnose
from bayespip.mcmc.fit import PymcFit


def assert_near_exact(fit: PymcFit, exact: ExactFit) -> None:
    """Median and limits of mu, tau, theta_new and each theta."""
    expected: dict[str, Any] = {name: getattr(exact, name) for name in ("mu", "tau", "theta_new")}
    expected |= {f"theta[{study}]": marginal for study, marginal in exact.theta.items()}
    table = diagnose(fit, ["mu", "tau", "theta_new", "theta"]).set_index("variable")
    for name, marginal in expected.items():
        for edge, column in (("lower", "mcse_lower"), ("point", "mcse_median"), ("upper", "mcse_upper")):
            distance = abs(getattr(fit.parameters[name], edge) - getattr(marginal, edge))
            assert distance <= MCSE_BOUND * table.loc[name, column], (name, edge, distance)
