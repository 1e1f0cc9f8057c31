"""The unknowns of an equilibrium, in logs."""

import equinox as eqx

from spatialjax.typing import ByCity, CityOccupation, CitySector


class State(eqx.Module):
    """Unknowns of the market-clearing system; an absent cell (no such workers, no land) holds 0.

    The same structure carries the residuals, log demand less log supply, by market.
    """

    log_wage: CityOccupation
    log_employment: CityOccupation
    log_rent: ByCity
    log_price: CitySector
    log_expenditure: CitySector
