"""Panels of establishments simulated on a table of CBSAs, of which everything is known."""

from collections.abc import Iterable, Iterator, Sequence

import jax
import numpy as np
import pandas as pd

from spatialjax.density.earnings import deflator
from spatialjax.density.imputation import impute_earnings
from spatialjax.density.simulation_lives import BLOCK, Lives, Tables, draw_lives
from spatialjax.density.simulation_records import Codes, rows_of_year
from spatialjax.density.simulation_tables import industries, tables
from spatialjax.density.simulation_truth import Truth
from spatialjax.errors import ModelError

CROSS_SECTIONS = (1992, 1997)
ESTABLISHMENTS_PER_YEAR = 10_256_604 / 2
"""Establishments of FF's sample, a year (Table 3)."""
ESTABLISHMENTS_PER_FIRM = 8
CHUNK = 131_072
YEARS_BEFORE, YEARS_AFTER = 3, 1
HISTORY_COLUMNS = ("establishment", "cbsa", "county", "year", "employment", "earnings")
RawColumns = dict[str, np.ndarray]


def simulate_panel(
    cbsas: pd.DataFrame,
    truth: Truth | None = None,
    *,
    key: jax.Array,
    establishments_per_year: float = ESTABLISHMENTS_PER_YEAR,
    years: Sequence[int] = CROSS_SECTIONS,
    city_log_earnings: pd.Series | np.ndarray | None = None,
    chunk: int = CHUNK,
) -> pd.DataFrame:
    """Cross-sections of simulated establishments, with lags and leads: views of the same lives.

    Establishments live in the steady state of [`Truth`][spatialjax.density.simulation_truth.Truth] from three years
    before the first of `years` to a year after the last. Their payrolls are those from which eq. (1) returns the true
    earnings of the cross-sections; `earnings` is what eq. (1) measures, with errors of recording, cleaned by the
    imputation of appendix A; `earnings_lag` and `earnings_lead` are measured and not cleaned. An entrant and the same
    establishment a year later have earnings of the same payroll, by eq. (1): that of the year after is then not the
    true one but differs by the growth of employment, wherever the year of entry is one of `years`.

    **Arguments:**

    - `cbsas`: a table such as `cbsa_table` returns: columns density, college_share, population, establishments_2001.
    - `truth`: the parameters; by default those near FF's estimates.
    - `key`: a key of `jax.random.key`. The same key gives the same lives whatever `chunk` is.
    - `establishments_per_year`: mean number of establishments in a cross-section.
    - `city_log_earnings`: log earnings by CBSA (a series by code, or in the order of rows), in the place of
      premium(a) ln D_j + college C_j + u_j: for instance wages of a solved economy. `constant` is added to them.
    - `chunk`: lives that are drawn at a time, rounded up to a multiple of 1,024.

    Payroll is in dollars of its year, earnings are in 1997 dollars. County codes are ten times the CBSA's plus 0 to 3.

    **Raises:** `DataError` and `ModelError` for a CBSA table, a truth, years or numbers that cannot be used.
    """
    rows = tuple(years)
    drawn = _draw(cbsas, truth, key, establishments_per_year, rows, rows, city_log_earnings, chunk, 1)
    return _clean(_gather(drawn))


def simulate_history(
    cbsas: pd.DataFrame,
    truth: Truth | None = None,
    *,
    key: jax.Array,
    establishments_per_year: float = ESTABLISHMENTS_PER_YEAR,
    years: Sequence[int] = CROSS_SECTIONS,
    one_in: int = 7,
    city_log_earnings: pd.Series | np.ndarray | None = None,
    chunk: int = CHUNK,
) -> pd.DataFrame:
    """The annual history of one in seven of the establishments of [`simulate_panel`][], in the same lives.

    From the year before the first cross-section to the last (1991 to 1997), in the columns establishment, cbsa, county,
    year, employment, earnings.

    **Arguments:** as in [`simulate_panel`][]; `one_in` is the number of blocks of 1,024 lives of which one is kept.

    **Raises:** as [`simulate_panel`][].
    """
    cross_sections = tuple(years)
    rows = tuple(range(min(cross_sections) - 1, max(cross_sections) + 1)) if cross_sections else ()
    drawn = _draw(cbsas, truth, key, establishments_per_year, cross_sections, rows, city_log_earnings, chunk, one_in)
    return _clean(_gather(drawn))[list(HISTORY_COLUMNS)]


def _draw(cbsas, truth, key, number, cross_sections, rows, city_log_earnings, chunk, one_in) -> Iterator[RawColumns]:
    """Columns of the panel, by chunk of lives and year."""
    _check(number, cross_sections, chunk, one_in)
    truth = Truth() if truth is None else truth
    years = np.arange(min(cross_sections) - YEARS_BEFORE, max(cross_sections) + YEARS_AFTER + 1)
    arrays = tables(truth, cbsas, key, number, cross_sections, years, city_log_earnings)
    codes = _codes(cbsas, truth, years, cross_sections, int(arrays.first_life[-1]))
    for lives in _chunks(jax.random.fold_in(key, 0), arrays, codes.lives, chunk, one_in):
        for year in rows:
            yield rows_of_year(lives, year - years[0], codes)


def _chunks(key: jax.Array, arrays: Tables, total: int, chunk: int, one_in: int) -> Iterator[Lives]:
    """Lives by chunk, on the host; the last chunk is filled up with blocks beyond the last life.

    So all chunks have the same shape, and one compilation serves panels of any size.
    """
    blocks = np.arange(0, -(-total // BLOCK), one_in)
    size = -(-int(chunk) // BLOCK)
    filled = np.concatenate([blocks, np.full(-len(blocks) % size, blocks[-1] + 1)]).astype(np.int32)
    for part in filled.reshape(-1, size):
        yield jax.device_get(draw_lives(key, part, arrays))


def _codes(cbsas: pd.DataFrame, truth: Truth, years: np.ndarray, cross_sections, lives: int) -> Codes:
    return Codes(
        cbsa=cbsas.index.to_numpy(np.int32),
        industry=industries()[0],
        years=years,
        factor=deflator().reindex(years).to_numpy(np.float32),
        recorded_from=min(cross_sections) - 1 - years[0],
        recorded_to=max(cross_sections) - years[0],
        lives=lives,
        firms=max(1, round(truth.multi_unit_share * lives / ESTABLISHMENTS_PER_FIRM)),
    )


def _gather(pieces: Iterable[RawColumns]) -> pd.DataFrame:
    """One table of pieces, column by column, so that no more than a column is there twice."""
    columns: dict[str, list[np.ndarray]] = {}
    for piece in pieces:
        for name, values in piece.items():
            columns.setdefault(name, []).append(values)
    return pd.DataFrame({name: np.concatenate(columns.pop(name)) for name in list(columns)}, copy=False)


def _clean(panel: pd.DataFrame) -> pd.DataFrame:
    names = ("earnings", "earnings_lag", "earnings_lead", "industry2", "year")
    panel["earnings"] = impute_earnings(*(panel[name].to_numpy() for name in names)).earnings
    return panel


def _check(number: float, years: tuple[int, ...], chunk: int, one_in: int) -> None:
    if not years or len(set(years)) < len(years):
        raise ModelError(f"years must name at least one year, each once, and are {years}")
    for name, value in (("establishments_per_year", number), ("chunk", chunk), ("one_in", one_in)):
        if not value >= 1:
            raise ModelError(f"{name} is {value}; it must be at least 1")
