"""What a policy does: the allocation it leads to, phased in from the equilibrium, and how far from optimal it is."""

from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import xarray as xr

from spatialjax.cities.certificate import Certificate, certify
from spatialjax.cities.checks import refuse_unless_planned_for
from spatialjax.cities.economy import Economy
from spatialjax.cities.equilibrium import Equilibrium, solve
from spatialjax.cities.homotopy import Path, follow_path
from spatialjax.cities.income import IncomeRule
from spatialjax.cities.objectives import WelfareReference
from spatialjax.cities.optimal_policy import OptimalPolicy
from spatialjax.cities.policies import ScaledPolicy, net_transfer
from spatialjax.cities.state import State
from spatialjax.cities.wedge import wedge
from spatialjax.errors import ModelError
from spatialjax.typing import ByOccupation, CityOccupation

MAX_EVALUATIONS_PER_STEP = 500


@dataclass(frozen=True, kw_only=True)
class PolicyEffect:
    """What a policy does; dollars a year at the numeraire.

    - `equilibrium`: the allocation under it. `wedge`: social less private value of workers in it (city, occupation).
    - `transfer`: net, P C - w - chi (city, occupation).
    - `gain`: v / v_equilibrium - 1 by occupation; with additive amenities the change of welfare over mean real
      consumption.
    - `certificate`: how far the policy is from optimal; `None` where no allocation was found.
    - `reference`: the equilibrium that gains are relative to. `policy`: the income rule.
    - `path`: how the policy was phased in from there, where it was.
    - `outcome`: in words, how that ended.
    """

    equilibrium: Equilibrium
    wedge: CityOccupation
    transfer: CityOccupation
    gain: ByOccupation
    certificate: Certificate | None
    reference: Equilibrium
    policy: IncomeRule
    path: Path | None = None
    outcome: str

    def to_xarray(self, data: xr.Dataset) -> xr.Dataset:
        """The allocation, the policy and its certificate, with the dimensions and labels of `data`."""
        from spatialjax.cities.labelled import policy_to_xarray

        return policy_to_xarray(self, data)


def policy_effect(
    economy: Economy,
    policy: IncomeRule,
    equilibrium: Equilibrium | None = None,
    *,
    tolerance: float = 1e-11,
    max_evaluations: int = 2000,
) -> PolicyEffect:
    """What a policy does, phased in from the equilibrium, and how far from optimal it is.

    Where the path folds, the whole policy is tried at once: what it leads to then is not connected with the
    equilibrium. Where that fails too, the allocation is that of the largest part of the policy that was reached.
    `outcome` says which.
    """
    refuse_tracers(economy)
    refuse_unless_planned_for(economy, "the effect of a policy")
    equilibrium = reference_equilibrium(economy, equilibrium, tolerance, max_evaluations)
    path = phase_in(economy, policy, equilibrium, tolerance, max_evaluations)
    allocation, outcome = path.equilibrium, "the policy is in force"
    if not path.complete:
        folds = f"the path from the equilibrium folds at {path.reached:.3f} of the policy"
        whole = solve_under(economy, policy, equilibrium.state(), tolerance, max_evaluations)
        if bool(whole.converged):
            allocation, outcome = whole, f"{folds}; the whole policy leads to an allocation away from it"
        else:
            policy, outcome = part_of(policy, path.reached), f"{folds}; this is the allocation there"
    return PolicyEffect(**described(economy, policy, allocation, equilibrium), path=path, outcome=outcome)


def phase_in(
    economy: Economy, policy: IncomeRule, equilibrium: Equilibrium, tolerance: float, max_evaluations: int
) -> Path:
    """Follow the equilibrium as a policy is phased in."""
    most = min(max_evaluations, MAX_EVALUATIONS_PER_STEP)
    return follow_path(
        lambda strength, start: solve_under(economy, part_of(policy, strength), start, tolerance, most), equilibrium
    )


def solve_under(economy, policy: IncomeRule, start: State, tolerance, max_evaluations) -> Equilibrium:
    """Solve under a policy, without raising."""
    return solve(
        economy, income=policy, initial=start, tolerance=tolerance, max_evaluations=max_evaluations, throw=False
    )


def part_of(policy: IncomeRule, strength: float) -> IncomeRule:
    """A part of a policy."""
    if isinstance(policy, OptimalPolicy):
        return eqx.tree_at(lambda p: p.strength, policy, strength * policy.strength)
    return ScaledPolicy(policy, jnp.asarray(strength))


def reference_equilibrium(economy: Economy, equilibrium: Equilibrium | None, tolerance, max_evaluations) -> Equilibrium:
    """The equilibrium that gains are relative to: as given, or solved for."""
    if equilibrium is None:
        return solve(economy, tolerance=tolerance, max_evaluations=max_evaluations)
    if not bool(equilibrium.converged):
        raise ModelError(f"gains are relative to an equilibrium, and this is none: {equilibrium.outcome}")
    return equilibrium


def described(economy: Economy, policy: IncomeRule, allocation: Equilibrium, equilibrium: Equilibrium):
    """What is said of an allocation under a policy, whatever the policy."""
    return {
        "equilibrium": allocation,
        "wedge": wedge(economy, allocation),
        "transfer": net_transfer(allocation),
        "gain": WelfareReference.of(economy, equilibrium).gain(allocation.welfare),
        "certificate": certify(economy, allocation) if bool(allocation.converged) else None,
        "reference": equilibrium,
        "policy": policy,
    }


def refuse_tracers(economy: Economy) -> None:
    """Refuse what is inside a JAX transformation: steps are chosen by looking at values."""
    if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(economy)):
        raise ModelError(
            "policies are phased in outside of jit, which cannot be traced: inside jit, vmap or grad call "
            "solve(economy, income=policy), for an optimum with "
            "policy=OptimalPolicy(WelfareReference.of(economy, equilibrium))"
        )
