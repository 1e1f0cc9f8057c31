"""Checks of panels of firms that estimators of the granular economy are given, and KO's restrictions of the sample."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from spatialjax.errors import DataError, ModelError

KEYS = ("location", "sector", "firm", "year")
COLUMNS = (*KEYS, "employment", "wage_bill", "sales")
NAMED = 3
"""Rows, firms or products that a message names; it counts all."""
SHARE_TOLERANCE = 1e-6


def check_granular_panel(
    panel: pd.DataFrame,
    products: pd.DataFrame | None = None,
    shipments: pd.DataFrame | None = None,
    *,
    columns: Sequence[str] = COLUMNS,
    several_years: bool = True,
) -> None:
    """Refuse a panel of firms that estimators cannot use.

    **Arguments:**

    - `panel`: a row for each firm and year, with `columns`: location, sector, firm, year (whole numbers), employment
      (persons), wage_bill and sales (any unit of money, the same for both). A firm is in one location and sector.
    - `products`: firm, product, share of the product in the firm's shipments, over the whole period (KO eq. 16).
    - `shipments`: product, year, shipments of the whole country.
    - `several_years`: whether one year of data is too few.

    **Raises:** `DataError` that lists all that is wrong: columns that are missing or not finite, firm-years that occur
    twice, employment and values that are not positive, firms in two markets, a single year, shares that are negative,
    do not sum to one, or are of no firm of the panel, and shipments that are not positive or missing.
    """
    problems = _panel_problems(panel, columns, several_years)
    if products is not None:
        problems += _product_problems(panel, products)
    if shipments is not None:
        problems += _shipment_problems(products, shipments)
    if problems:
        raise DataError("panel of firms", problems)


def restrict_panel(panel: pd.DataFrame, *, minimum_employment: float = 10, minimum_years: int = 10) -> pd.DataFrame:
    """The sample of KO 4.1: firm-years with enough employees, of firms with enough of these.

    KO keep establishments with at least 10 employees and at least 10 of 18 years; the second rule is applied to what
    the first leaves.

    **Raises:** `DataError` for missing columns and where nothing is left; `ModelError` for a limit that is not
    positive.
    """
    if minimum_employment < 0 or minimum_years < 1:
        raise ModelError("minimum_employment must be zero or positive and minimum_years one at least")
    problems = _missing(panel, (*KEYS, "employment"), "panel")
    if problems:
        raise DataError("panel of firms", problems)
    large = panel[panel.employment >= minimum_employment]
    kept = large[large.groupby("firm").year.transform("nunique") >= minimum_years]
    if kept.empty:
        problem = f"no firm has {minimum_employment:g} employees in {minimum_years} years: lower minimum_years"
        raise DataError("panel of firms", [problem])
    return kept.reset_index(drop=True)


def _panel_problems(panel: pd.DataFrame, columns: Sequence[str], several_years: bool) -> list[str]:
    problems = _missing(panel, columns, "panel")
    if problems:
        return problems
    if panel.empty:
        return ["the panel has no rows"]
    values = [name for name in columns if name not in KEYS]
    problems += [problem for name in columns for problem in _not_finite(panel, name)]
    problems += [problem for name in values for problem in _not_positive(panel, name)]
    twice = panel.duplicated(["firm", "year"], keep="first").to_numpy()
    problems += _say(panel, twice, "firm-years occur more than once", ("firm", "year"), "keep one row for each")
    market = panel[["firm", "location", "sector"]].drop_duplicates()
    moved = market.duplicated("firm").to_numpy()
    problems += _say(
        market, moved, "firms are in more than one location or sector", ("firm",), "give each move a firm of its own"
    )
    if several_years and panel.year.nunique() == 1:
        problems.append(f"all rows are of one year ({panel.year.iloc[0]}): growth needs at least two")
    return problems


def _product_problems(panel: pd.DataFrame, products: pd.DataFrame) -> list[str]:
    problems = _missing(products, ("firm", "product", "share"), "products")
    if problems:
        return problems
    problems += [f"products: {problem}" for problem in _not_finite(products, "share")]
    negative = (products.share < 0).to_numpy()
    problems += _say(products, negative, "product shares are negative", ("firm", "product"), "they lie between 0 and 1")
    twice = products.duplicated(["firm", "product"]).to_numpy()
    problems += _say(products, twice, "firm-products occur more than once", ("firm", "product"), "add their shares up")
    sums = products.groupby("firm").share.sum().reset_index()
    off = (abs(sums.share - 1) > SHARE_TOLERANCE).to_numpy()
    problems += _say(sums, off, "firms have product shares that do not sum to one", ("firm", "share"), "divide by sums")
    if "firm" in panel.columns:
        without = panel[~panel.firm.isin(products.firm)].drop_duplicates("firm")
        every = np.ones(len(without), dtype=bool)
        problems += _say(without, every, "firms have no product shares", ("firm",), "add them or leave the firms out")
    return problems


def _shipment_problems(products: pd.DataFrame | None, shipments: pd.DataFrame) -> list[str]:
    problems = _missing(shipments, ("product", "year", "shipments"), "shipments")
    if problems:
        return problems
    problems += [f"shipments: {problem}" for problem in _not_positive(shipments, "shipments")]
    twice = shipments.duplicated(["product", "year"]).to_numpy()
    problems += _say(shipments, twice, "product-years of shipments occur more than once", ("product", "year"), "add up")
    if products is not None and "product" in products.columns:
        lost = products[~products["product"].isin(shipments["product"])].drop_duplicates("product")
        every = np.ones(len(lost), dtype=bool)
        problems += _say(lost, every, "products of firms have no shipments", ("product",), "add them to shipments")
    return problems


def _missing(frame: pd.DataFrame, columns: Sequence[str], name: str) -> list[str]:
    return [f"column {column} of {name} is missing" for column in columns if column not in frame.columns]


def _not_finite(frame: pd.DataFrame, name: str) -> list[str]:
    column = frame[name]
    bad = ~np.isfinite(column.to_numpy()) if column.dtype.kind == "f" else column.isna().to_numpy()
    return _say(frame, bad, f"values of {name} are missing or not finite", (), "leave these rows out")


def _not_positive(frame: pd.DataFrame, name: str) -> list[str]:
    if frame[name].dtype.kind not in "fiu":
        return [f"column {name} is not numeric"]
    bad = (frame[name] <= 0).to_numpy()
    return _say(frame, bad, f"values of {name} are zero or negative", (), "leave these rows out")


def _say(frame: pd.DataFrame, bad: np.ndarray, what: str, columns: Sequence[str], mend: str) -> list[str]:
    """A sentence with the number of bad rows, the first of them by columns or row labels, and the remedy."""
    if not bad.any():
        return []
    first = frame[bad].head(NAMED)
    names = [", ".join(f"{column} {row[column]}" for column in columns) for _, row in first.astype(object).iterrows()]
    where = "; ".join(names) if columns else "rows " + ", ".join(str(label) for label in first.index)
    return [f"{bad.sum()} {what} (first: {where}): {mend}"]
