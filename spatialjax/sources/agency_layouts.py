"""Files of made-up figures in the layouts of statistical agencies: for an example to start from, and for the tests.

Columns and marks are those that the agencies publish; figures are the caller's. Workbooks are written as CSV files with
the same columns, which the readers take too.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence

from spatialjax.sources.business_patterns import ESTABLISHMENT_CLASSES
from spatialjax.sources.delineation import KINDS

DELINEATION = (
    "CBSA Code",
    "Metropolitan Division Code",
    "CSA Code",
    "CBSA Title",
    "Metropolitan/Micropolitan Statistical Area",
    "Metropolitan Division Title",
    "CSA Title",
    "County/County Equivalent",
    "State Name",
    "FIPS State Code",
    "FIPS County Code",
    "Central/Outlying County",
)
"""Columns of the Office of Management and Budget's list 1."""
BUSINESS_PATTERNS = (
    *("fipstate", "fipscty", "naics", "empflag", "emp_nf", "emp", "qp1_nf", "qp1", "ap_nf", "ap", "est"),
    *("n1_4", "n5_9", "n10_19", "n20_49", "n50_99", "n100_249", "n250_499", "n500_999", "n1000"),
    *("n1000_1", "n1000_2", "n1000_3", "n1000_4", "censtate", "cencty"),
)
"""Columns of cbpYYco.txt of the Census Bureau, to 2016."""
METRO_WAGES = (
    *("PRIM_STATE", "AREA", "AREA_NAME", "OCC_CODE", "OCC_TITLE", "OCC_GROUP", "TOT_EMP", "EMP_PRSE", "A_MEAN"),
)
"""Columns of MSA_M20YY_dl.xlsx of the Bureau of Labor Statistics that the reader or a person needs."""
INDUSTRY_OCCUPATIONS = ("NAICS", "NAICS_TITLE", "OCC_CODE", "OCC_TITLE", "OCC_GROUP", "TOT_EMP", "EMP_PRSE")
"""Columns of natsector_M20YY_dl.xlsx and nat3d_M20YY_dl.xlsx of the Bureau of Labor Statistics, likewise."""
PRICE_PARITIES = (
    *("GeoFIPS", "GeoName", "Region", "TableName", "LineCode", "IndustryClassification", "Description", "Unit"),
)
"""Columns of MARPP of the Bureau of Economic Analysis before those of years."""
SHIPMENTS = (
    *("GEO.id", "GEO.id2", "GEO.display-label", "NAICS.id", "NAICS.display-label", "COMM.id", "COMM.display-label"),
    *("YEAR.id", "VAL", "TON", "TMILE", "AVGMILE", "VAL_S", "TON_S", "TMILE_S", "AVGMILE_S"),
)
"""Columns of CF1200A18, Commodity Flow Survey 2012 of the Census Bureau."""


def csv_text(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A CSV file."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue()


def delineation_row(
    county: str, area: str, title: str, *, name: str = "", state: str = "", kind: str = KINDS["metropolitan"]
) -> list[str]:
    """A county of an area; `county` is state and county, five digits."""
    return [area, "", "", title, kind, "", "", name, state, county[:2], county[2:], "Central"]


def business_patterns_row(
    place: str, industry: str, flag: str, noise: str, workers: object, establishments: Mapping[int, int]
) -> list[object]:
    """An industry (six digits, dashes or slashes) of a county (five digits).

    `establishments` are counts by class of size, 0 for the smallest.
    """
    counts = [establishments.get(k, 0) for k in range(len(ESTABLISHMENT_CLASSES))]
    below, above = counts[:8], counts[8:]
    return [
        *(place[:2], place[2:], industry, flag, noise, workers, "G", 1, "G", 1, sum(counts)),
        *(*below, sum(above), *above, 63, 1),
    ]


def metro_wages_row(
    area: str, title: str, occupation: str, name: str, level: str, workers: object, wage: object
) -> list[object]:
    """An occupation of an area; `level` is total or major. Marks: * and ** unknown, # at the top code or above."""
    return ["ZZ", area, title, occupation, name, level, workers, 1.5, wage]


def industry_occupations_row(
    industry: str, title: str, occupation: str, name: str, level: str, workers: object
) -> list[object]:
    """An occupation of an industry: six digits, or sectors published together, such as 31-33."""
    return [industry, title, occupation, name, level, workers, 1.5]


def price_parities_text(years: Sequence[int], parities: Iterable[tuple[str, str, Sequence[object]]]) -> str:
    """Parities of housing: code, title and values by year of areas, (NA) where there is none; and notes below."""
    described = ' ,MARPP,3,"...","RPPs: Services: Housing ","Index"'
    lines = [f' "{area}","{title}",{described},{",".join(map(str, values))}' for area, title, values in parities]
    return "\n".join(
        [",".join([*PRICE_PARITIES, *map(str, years)]), *lines, '"Note: see the included footnote file."', ""]
    )


def shipments_row(industry: str, name: str, value: object, miles: object, *, commodity: str = "0000") -> list[object]:
    """Shipments of an industry; S where the survey withholds a figure."""
    label = "All Commodities" if commodity == "0000" else "Goods"
    return ["0100000US", "", "United States", industry, name, commodity, label, 2012, value, 1, 1, miles, 1, 1, 1, 1]
