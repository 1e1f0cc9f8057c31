"""One-year growth of firms, and the shift-share instrument of product demand (KO eqs. 15 and 16)."""

import numpy as np
import pandas as pd
from scipy import sparse

from spatialjax.errors import DataError, ModelError
from spatialjax.estimation.granular_checks import KEYS, check_granular_panel

ROUNDING = 1e-9
"""Part of a product's shipments that is left, by rounding, when its only firm is taken out."""


def firm_growth(panel: pd.DataFrame) -> pd.DataFrame:
    """Log changes of firms over one year, a row for each firm and year that has a row the year before.

    **Arguments:**

    - `panel`: location, sector, firm, year, employment, wage_bill, and sales where growth of sales is wanted.

    **Returns:** location, sector, firm, year; market, market_year, location_year and sector_year (codes);
    employment, wage (wage_bill over employment) and those of the year before (employment_before, wage_before);
    employment_growth, wage_growth and, with sales, sales_growth; lagged_growth, of employment the year before, NaN
    where unknown; payroll_share, in the market the year before; weight, the median over years of the market's
    employment; firm_employment, the firm's median.
    """
    frame = panel.sort_values(["firm", "year"], kind="stable").reset_index(drop=True)
    frame["market"] = frame.groupby(["location", "sector"], sort=True).ngroup()
    frame["wage"] = frame.wage_bill / frame.employment
    totals = frame.groupby(["market", "year"])[["employment", "wage_bill"]].transform("sum")
    share = frame.wage_bill / totals.wage_bill
    frame["weight"] = _market_median(frame, totals.employment)
    frame["firm_employment"] = frame.groupby("firm").employment.transform("median")
    firm, year = frame.firm.to_numpy(), frame.year.to_numpy().astype(int)
    after = np.r_[False, (firm[1:] == firm[:-1]) & (year[1:] == year[:-1] + 1)]
    for name in ("employment", "wage", "sales"):
        if name in frame.columns:
            frame[f"{name}_growth"] = _where(after, np.r_[np.nan, np.diff(np.log(frame[name].to_numpy()))])
            frame[f"{name}_before"] = _before(after, frame[name])
    frame["lagged_growth"] = _before(after, frame.employment_growth)
    frame["payroll_share"] = _before(after, share)
    kept = frame[after].reset_index(drop=True)
    if kept.empty:
        raise DataError("panel of firms", ["no firm has rows in two consecutive years"])
    for name in ("market", "location", "sector"):
        kept[f"{name}_year"] = kept.groupby([name, "year"], sort=True).ngroup()
    return kept


def _market_median(frame: pd.DataFrame, total: pd.Series) -> pd.Series:
    """Median over years of a market's total, on each row."""
    yearly = frame.assign(total=total).drop_duplicates(["market", "year"])
    return frame.market.map(yearly.groupby("market").total.median())


def _where(holds: np.ndarray, values: np.ndarray) -> np.ndarray:
    return np.where(holds, values, np.nan)


def _before(after: np.ndarray, column: pd.Series) -> np.ndarray:
    return _where(after, np.r_[np.nan, column.to_numpy()[:-1]])


def average_product_shares(shipments: pd.DataFrame) -> pd.DataFrame:
    """Shares of products in firms' shipments, averaged over years, from firm, product, year, shipments (KO eq. 16).

    A product that a firm does not ship in a year has a share of zero in that year.
    """
    total = shipments.groupby(["firm", "year"]).shipments.transform("sum")
    years = shipments.groupby("firm").year.transform("nunique")
    parts = shipments.assign(share=shipments.shipments / total / years)
    return parts.groupby(["firm", "product"], as_index=False).share.sum()


def product_shipments(panel: pd.DataFrame, products: pd.DataFrame) -> pd.DataFrame:
    """Shipments of products by year, summed over the panel: sales times the firm's average share of the product."""
    sold = panel[["firm", "year", "sales"]].merge(products, on="firm")
    sold["shipments"] = sold.share * sold.sales
    return sold.groupby(["product", "year"], as_index=False).shipments.sum()


def shift_share(
    panel: pd.DataFrame,
    products: pd.DataFrame,
    shipments: pd.DataFrame | None = None,
    *,
    leave_out: bool = False,
) -> pd.DataFrame:
    """The instrument of KO eq. 16: shares of a firm's products times their national growth over one year.

    **Arguments:**

    - `products`: firm, product, share, of the whole period (`average_product_shares`).
    - `shipments`: product, year, shipments of the country; None sums them over the panel, which then has sales.
    - `leave_out`: leaves the firm's own shipments out of the nation's, where these are summed over the panel. Without,
      a firm that is much of a product moves its own instrument.

    **Returns:** firm, year, shock; no row where a product's growth is unknown or, left out, no one else ships it.

    **Raises:** `DataError` for panels, shares or shipments that cannot be used; `ModelError` for both `leave_out` and
    `shipments`.
    """
    check_granular_panel(panel, products, shipments, columns=(*KEYS, *_sales(shipments, leave_out)))
    return _shift_share(panel, products, shipments, leave_out)


def growth_with_shock(
    panel: pd.DataFrame, products: pd.DataFrame, shipments: pd.DataFrame | None, leave_out: bool
) -> pd.DataFrame:
    """[`firm_growth`][] and, as shock, [`shift_share`][], where both are known."""
    columns = (*KEYS, "employment", "wage_bill", *_sales(shipments, leave_out))
    check_granular_panel(panel, products, shipments, columns=columns)
    return firm_growth(panel).merge(_shift_share(panel, products, shipments, leave_out), on=["firm", "year"])


def _sales(shipments: pd.DataFrame | None, leave_out: bool) -> tuple[str, ...]:
    """The column that national shipments are summed from, where they are.

    **Raises:** `ModelError` where a firm's shipments cannot be left out.
    """
    if leave_out and shipments is not None:
        raise ModelError("leave_out sums national shipments over the panel: give either it or shipments")
    return () if shipments is not None else ("sales",)


def _shift_share(panel, products, shipments, leave_out: bool) -> pd.DataFrame:
    national = product_shipments(panel, products) if shipments is None else shipments
    table = national.pivot(index="product", columns="year", values="shipments")
    table = table.reindex(columns=range(table.columns.min(), table.columns.max() + 1))
    firms = np.unique(panel.firm.to_numpy())
    shares = products[products.firm.isin(firms) & (products.share > 0)]
    firm = np.searchsorted(firms, shares.firm.to_numpy())
    levels = table.to_numpy()[table.index.get_indexer(shares["product"])]
    if leave_out:
        sales = panel.pivot(index="firm", columns="year", values="sales").reindex(columns=table.columns)
        others = levels - shares.share.to_numpy()[:, None] * sales.fillna(0.0).to_numpy()[firm]
        levels = np.where(others > ROUNDING * levels, others, np.nan)
    growth = np.diff(np.log(levels), axis=1)
    weights = sparse.csr_array((shares.share.to_numpy(), (firm, np.arange(len(shares)))), (len(firms), len(shares)))
    years = table.columns.to_numpy()[1:]
    frame = pd.DataFrame({"firm": np.repeat(firms, years.size), "year": np.tile(years, firms.size)})
    return frame.assign(shock=(weights @ growth).ravel()).dropna().reset_index(drop=True)
