"""The axis vocabulary of every shape in the library, and the aliases used most.

`city` is the place of living and of destination, `origin` the place a shipment comes from, `sector`
the industry that produces, `input` the industry whose good is used, `occupation` the kind of worker.
Rows choose and columns are chosen: `expenditure_share[sector, city, origin]` sums to one over origin.
"""

from jaxtyping import Array, Float

Scalar = Float[Array, ""]
ByCity = Float[Array, " city"]
BySector = Float[Array, " sector"]
ByOccupation = Float[Array, " occupation"]
CityOccupation = Float[Array, "city occupation"]
CitySector = Float[Array, "city sector"]
CityOccupationSector = Float[Array, "city occupation sector"]
SectorCityOrigin = Float[Array, "sector city origin"]
PriceIndex = Float[Array, "city *occupation"]
CityOccupationOrOne = Float[Array, "city occupation_or_one"]
