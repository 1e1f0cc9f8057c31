"""Files of agencies for `spatialjax data build`, made up: four towns that are nowhere, in the published layouts.

Figures are of a plausible order and otherwise invented; nothing may be concluded from them.
"""

from spatialjax.sources.agency_layouts import (
    BUSINESS_PATTERNS,
    DELINEATION,
    INDUSTRY_OCCUPATIONS,
    METRO_WAGES,
    business_patterns_row,
    csv_text,
    delineation_row,
    industry_occupations_row,
    metro_wages_row,
    price_parities_text,
)

TOWNS = {"90100": "Alder, ZZ", "90200": "Birch, ZZ", "90300": "Cedar, ZZ", "90400": "Dale, ZZ"}
"""Codes and titles; there is no state 90."""
COUNTIES = {
    "90001": ("90100", "Alder County", 41.0, -93.0),
    "90003": ("90200", "Birch County", 42.0, -90.0),
    "90005": ("90200", "Brook County", 42.3, -90.4),
    "90007": ("90300", "Cedar County", 44.0, -92.0),
    "90009": ("90400", "Dale County", 40.0, -89.0),
}
"""Town, name, latitude and longitude by state and county."""
INDUSTRIES = {"311///": "Food", "333///": "Machinery", "54----": "Business", "53----": "Homes", "44----": "Shops"}
WORKERS = {
    "90001": (6_200, 15_100, 14_000, 900, 22_000),
    "90003": (9_000, 21_500, 42_000, 1_900, 47_000),
    "90005": (None, None, 3_000, None, 9_500),
    "90007": (7_400, 4_300, 4_000, 300, 12_200),
    "90009": (5_100, 10_600, 8_000, 500, 16_800),
}
"""Workers by county in these industries; None is withheld."""
WITHHELD = {"311///": ("H", {3: 10, 6: 8}), "333///": ("I", {4: 12, 7: 7}), "53----": ("B", {2: 4})}
"""Letter of the size class and establishments by size of what is withheld."""
MANUFACTURING = 9_000
"""Workers in all manufacturing of the county that withholds its parts."""
OCCUPATIONS = {"11-0000": "Management", "13-0000": "Business and Finance", "41-0000": "Sales", "51-0000": "Production"}
PAY = {
    "90100": (88_000, 61_000, 31_000, 34_000),
    "90200": (104_000, 72_000, 36_000, 37_000),
    "90300": (81_000, "*", 29_000, 33_000),
    "90400": (90_000, 63_000, 32_000, 35_000),
}
"""Mean annual wages by town and occupation; * is withheld."""
STAFF = {
    "90100": (6_400, 7_100, 22_000, 25_000),
    "90200": (16_000, 21_000, 48_000, 44_000),
    "90300": (2_700, 2_500, 12_000, 11_500),
    "90400": (4_300, 4_600, 16_500, 15_800),
}
"""Workers by town and occupation."""
STAFF_OF_INDUSTRIES = {
    "311000": (60, 70, 120, 750),
    "333000": (100, 110, 90, 700),
    "54": (190, 360, 250, 200),
    "53": (120, 130, 500, 250),
    "44-45": (60, 60, 700, 180),
}
"""Workers by industry and occupation, thousands, of the nation."""
PARITIES = {"00000": 100.0, "00999": 72.5, "90100": 84.1, "90200": 113.6, "90300": "(NA)", "90400": 88.9}
USE_CODES = ("311FT", "333", "5412OP", "HS", "4A0")
USE = {
    "311FT": (260, 5, 10, 0, 240),
    "333": (40, 620, 30, 10, 60),
    "5412OP": (150, 420, 780, 90, 520),
    "HS": (0, 0, 0, 0, 0),
    "4A0": (190, 380, 160, 60, 240),
    "V001": (1_050, 2_150, 4_100, 170, 3_700),
    "V002": (30, 40, 60, 180, 420),
    "V003": (420, 760, 1_150, 1_900, 900),
    "T018": (2_140, 4_375, 6_290, 2_410, 6_080),
}
"""Purchases by industry, million dollars; then compensation, taxes, surplus and output."""
IMPORTS = {"311FT": (20, 0, 1, 0, 20), "333": (8, 140, 5, 2, 12), "5412OP": (5, 15, 25, 3, 15)}

BUILD = """# A build of a data set of cities, to change: spatialjax data build build.toml --out mine.nc
# Paths are relative to this file. Every key is described in docs/reference/configurations.md.

title = "Four made-up towns"
provenance = "Made-up figures in the layouts of US agencies; nothing may be concluded from them"

[files]
delineation = "list1.csv"                        # OMB: which counties are a metropolitan area
business_patterns = ["cbp14co.txt"]              # Census Bureau: a file a year, all of counties or all of metros
wages = "MSA_M2014_dl.csv"                       # Bureau of Labor Statistics, or the workbook as published (.xlsx)
industry_occupations = [                         # Bureau of Labor Statistics, or the workbooks (.xlsx)
    "natsector_M2014_dl.csv",
    "nat3d_M2014_dl.csv",
]
use_tables = ["Use_2014.csv"]                    # Bureau of Economic Analysis, or workbooks with table_sheets
import_tables = ["Import_2014.csv"]              # Bureau of Economic Analysis, as many as use_tables
price_parities = "MARPP_MSA.csv"                 # Bureau of Economic Analysis
places = "places.csv"                            # coordinates of counties or cities

[assumptions]
parity_years = [2013, 2014]
missing_parity = "nonmetropolitan"               # Cedar has none
suppressed = "establishments"
add_up = true
surplus_to_land = 0.6

[[occupations]]
name = "office"
codes = ["11-0000", "13-0000"]

[[occupations]]
name = "other"
codes = ["41-0000", "51-0000"]

[[sectors]]
name = "food"
naics = ["311"]
use_codes = ["311FT"]
distance_elasticity = 1.4                        # assumed; spatialjax data calibrate finds it from shipments

[[sectors]]
name = "machines"
naics = ["333"]
use_codes = ["333"]
distance_elasticity = 0.7

[[sectors]]
name = "business"
naics = ["54"]
use_codes = ["5412OP"]
distance_elasticity = 0.7

[[sectors]]
name = "homes"
naics = ["53"]
use_codes = ["HS"]
uses_land = true                                 # in exactly one sector, not traded

[[sectors]]
name = "shops"                                   # without distance_elasticity: not traded
naics = ["44"]
use_codes = ["4A0"]
"""

README = """# Files of agencies, made up

Four towns that are nowhere, in the layouts of US agencies. As they stand they build a data set:

    spatialjax data build build.toml --out mine.nc
    spatialjax validate mine.nc

Replace each file by the agency's own, change build.toml (which industries make up a sector, every assumption), and
build again. docs/own-data.md says where agencies publish each file. list1.csv, MSA_M2014_dl.csv,
natsector_M2014_dl.csv, nat3d_M2014_dl.csv, Use_2014.csv and Import_2014.csv stand for workbooks, which are read as
published.

Employment of one county is withheld in three industries, a wage and a price parity are missing: mine.imputations.csv
lists each cell that is imputed, and how.
"""


def agency_files() -> dict[str, str]:
    """The files of the example by name: one of each agency's, build.toml, and a README.md."""
    return {
        "README.md": README,
        "build.toml": BUILD,
        "list1.csv": csv_text(
            DELINEATION,
            [
                delineation_row(code, town, TOWNS[town], name=name, state="Nowhere")
                for code, (town, name, *_) in COUNTIES.items()
            ],
        ),
        "cbp14co.txt": csv_text(BUSINESS_PATTERNS, [row for county in COUNTIES for row in _employment(county)]),
        "MSA_M2014_dl.csv": csv_text(METRO_WAGES, [row for town in TOWNS for row in _wages(town)]),
        "natsector_M2014_dl.csv": csv_text(INDUSTRY_OCCUPATIONS, _staff("44-45", "53", "54")),
        "nat3d_M2014_dl.csv": csv_text(INDUSTRY_OCCUPATIONS, _staff("311000", "333000")),
        "Use_2014.csv": csv_text(("code", *USE_CODES), [(code, *row) for code, row in USE.items()]),
        "Import_2014.csv": csv_text(("code", *USE_CODES), [(code, *row) for code, row in IMPORTS.items()]),
        "MARPP_MSA.csv": price_parities_text(
            (2013, 2014),
            [(area, TOWNS.get(area, "United States"), (value, value)) for area, value in PARITIES.items()],
        ),
        "places.csv": csv_text(
            ("county", "name", "latitude", "longitude"),
            [(code, name, north, east) for code, (_, name, north, east) in COUNTIES.items()],
        ),
    }


def _employment(county: str) -> list[list[object]]:
    """A county's rows: all industries, manufacturing, and those of the example."""
    by_industry = dict(zip(INDUSTRIES, WORKERS[county], strict=True))
    known = [workers for workers in by_industry.values() if workers is not None]
    made = [by_industry["311///"], by_industry["333///"]]
    manufacturing = MANUFACTURING if None in made else sum(x for x in made if x is not None)
    rows = [
        business_patterns_row(county, "------", "", "G", sum(known), {0: 900, 3: 200}),
        business_patterns_row(county, "31----", "", "G", manufacturing, {3: 40, 6: 20}),
    ]
    for industry, workers in by_industry.items():
        if workers is None:
            letter, establishments = WITHHELD[industry]
            rows.append(business_patterns_row(county, industry, letter, "D", 0, establishments))
        else:
            rows.append(business_patterns_row(county, industry, "", "G", workers, {1: 30, 3: 20}))
    return rows


def _staff(*industries: str) -> list[list[object]]:
    """Rows of industries: the occupations of the example."""
    return [
        industry_occupations_row(code, "Industry", occupation, name, "major", f"{1000 * count:,}")
        for code in industries
        for (occupation, name), count in zip(OCCUPATIONS.items(), STAFF_OF_INDUSTRIES[code], strict=True)
    ]


def _wages(town: str) -> list[list[object]]:
    """A town's rows: all occupations, and those of the example."""
    rows = [metro_wages_row(f"00{town}", TOWNS[town], "00-0000", "All Occupations", "total", sum(STAFF[town]), 45_000)]
    for (code, name), workers, pay in zip(OCCUPATIONS.items(), STAFF[town], PAY[town], strict=True):
        rows.append(metro_wages_row(f"00{town}", TOWNS[town], code, name, "major", f"{workers:,}", pay))
    return rows
