"""Data of one's own: folders of CSV files, agencies' files in their published layouts, and the builder."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest
import xarray as xr
from typer.testing import CliRunner

import spatialjax as sj
from spatialjax.cli_data import data_app
from spatialjax.errors import ConfigError, DataError, OutputError
from spatialjax.sources import read_folder, write_folder, write_template
from spatialjax.sources.agency_example import agency_files
from spatialjax.sources.agency_layouts import (
    BUSINESS_PATTERNS,
    DELINEATION,
    INDUSTRY_OCCUPATIONS,
    METRO_WAGES,
    SHIPMENTS,
    business_patterns_row,
    csv_text,
    delineation_row,
    industry_occupations_row,
    metro_wages_row,
    price_parities_text,
    shipments_row,
)
from spatialjax.sources.build import build_from_config
from spatialjax.sources.business_patterns import read_business_patterns
from spatialjax.sources.config import Assumptions, BuildConfig, Files, Occupation, Sector
from spatialjax.sources.delineation import read_delineation
from spatialjax.sources.examples import EXAMPLES
from spatialjax.sources.occupational_wages import mean_wages, read_occupational_wages
from spatialjax.sources.price_parities import read_price_parities
from spatialjax.sources.proportional_fitting import fit_margins
from spatialjax.sources.shipments import mean_miles, read_shipments
from spatialjax.sources.suppressed_cells import impute, scaled_to
from spatialjax.sources.use_tables import read_use_table

ROOT = Path(__file__).parents[1]


class TestFolder:
    @pytest.mark.parametrize("name", EXAMPLES)
    def test_template_is_an_economy_and_comes_back_to_the_last_digit(self, name, tmp_path):
        write_template(tmp_path / "own", name)
        data = read_folder(tmp_path / "own")
        xr.testing.assert_equal(data, EXAMPLES[name]())
        assert data.attrs == EXAMPLES[name]().attrs
        assert sj.validate(data) == ()

    def test_archipelago_is_solved(self):
        """Three occupations, and sectors that are not traded among those that are."""
        economy = sj.invert(EXAMPLES["archipelago"](), spillover=sj.NoSpillover())
        assert economy.mended == ()
        assert economy.traded == (1, 3, 5, 7)
        equilibrium = sj.solve(economy)
        np.testing.assert_allclose(equilibrium.employment_by_sector, EXAMPLES["archipelago"]()["employment"], rtol=1e-7)

    def test_any_numbers_come_back(self, tmp_path):
        data, rng = EXAMPLES["archipelago"](), np.random.default_rng(0)
        data = data.assign(
            employment=data["employment"] * rng.random(data["employment"].shape), code=("city", np.arange(9))
        )
        write_folder(data, tmp_path / "own")
        xr.testing.assert_equal(read_folder(tmp_path / "own"), data)

    @pytest.mark.parametrize(
        ("file", "old", "new", "message"),
        [
            ("wages.csv", "58000.0", "58k", r"wages.csv: column wage must hold positive, but has line 4: '58k'"),
            ("wages.csv", "58000.0", "-5", r"wages.csv: column wage must hold positive, but has line 4: '-5'"),
            ("employment.csv", "harbour,other,goods,500000.0\n", "", r"employment.csv: 1 rows are missing, the first"),
            ("employment.csv", "hills,other,goods", "hill,other,goods", r"names that cities.csv lists, but has line"),
            ("employment.csv", "hills,other,goods", "hills,other,local", r"repeats hills, other, local"),
            ("cities.csv", "title,latitude", "title,north", r"no geography: give latitude"),
            ("sectors.csv", ",true", ",maybe", r"column uses_land must hold true or false, but has line \d+: 'maybe'"),
            ("input_shares.csv", "housing,0", "house,0", r"names that sectors.csv lists"),
            ("about.toml", '"title"', "title =", r"about.toml: is not TOML"),
        ],
    )
    def test_bad_cells_are_named(self, file, old, new, message, tmp_path):
        write_template(tmp_path / "own")
        text = (tmp_path / "own" / file).read_text()
        assert old in text
        (tmp_path / "own" / file).write_text(text.replace(old, new, 1))
        with pytest.raises(DataError, match=message):
            sj.invert(read_folder(tmp_path / "own"))

    @pytest.mark.parametrize("cell", ["much", "1.5", ""])
    def test_shares_of_land_are_read_and_checked(self, cell, tmp_path):
        write_template(tmp_path / "own", "archipelago")
        path = tmp_path / "own" / "sectors.csv"
        data = read_folder(tmp_path / "own")
        assert data["land_share"].sel(sector=["retail", "machines", "fish"]).values.tolist() == [0.08, 0.05, 0]
        economy = sj.invert(data, spillover=sj.NoSpillover())
        np.testing.assert_allclose(economy.land_share[:, 3], 0.05)
        text = path.read_text()
        assert ",0.08,false" in text
        path.write_text(text.replace(",0.08,false", f",{cell},false"))
        with pytest.raises(DataError, match=r"column land_share must hold zero or positive and below 1, but has line"):
            read_folder(tmp_path / "own")

    def test_spreadsheets_of_other_countries(self, tmp_path):
        write_template(tmp_path / "own")
        path = tmp_path / "own" / "cities.csv"
        lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
        path.write_bytes("\r\n".join(line.replace(",", ";").replace(".", ",") for line in lines).encode("utf-8-sig"))
        xr.testing.assert_equal(read_folder(tmp_path / "own"), EXAMPLES["minimal"]())

    def test_a_folder_in_use_is_left_alone(self, tmp_path):
        (tmp_path / "mine.txt").write_text("mine")
        with pytest.raises(OutputError, match="is not empty"):
            write_template(tmp_path)
        with pytest.raises(DataError, match="there is no example"):
            write_template(tmp_path / "new", "mars")

    def test_command(self, tmp_path):
        result = CliRunner().invoke(data_app, ["template", str(tmp_path / "own")])
        assert result.exit_code == 0, result.output
        assert (tmp_path / "own" / "README.md").exists()
        assert CliRunner().invoke(data_app, ["template", str(tmp_path / "own")]).exit_code == 1


def write_cbp(path, rows):
    path.write_text(csv_text(BUSINESS_PATTERNS, rows))
    return path


class TestBusinessPatterns:
    ROWS = (
        business_patterns_row("01001", "------", "", "G", 1000, {0: 50}),
        business_patterns_row("01001", "31----", "", "H", 300, {0: 10}),
        business_patterns_row("01001", "311///", "", "G", 100, {0: 5}),
        business_patterns_row("01001", "332///", "B", "D", 0, {3: 2}),
        business_patterns_row("01001", "333///", "C", "D", 0, {5: 1}),
        business_patterns_row("01003", "44----", "C", "D", 0, {}),
    )

    def test_suppressed_cells_add_up_to_what_is_published(self, tmp_path):
        table = read_business_patterns(write_cbp(tmp_path / "cbp14co.txt", self.ROWS))
        assert table["place"].tolist() == ["01001"] * 5 + ["01003"]
        assert table["naics"].tolist() == ["", "31", "311", "332", "333", "44"]
        assert table["employment"].isna().tolist() == [False] * 3 + [True] * 3
        plain = impute(table, add_up=False)
        assert plain["employment"].tolist() == [1000, 300, 100, 69, 174.5, 174.5]
        assert plain["imputed"].tolist() == ["", "", "", "establishments", "establishments", "size_class"]
        filled = impute(table)
        assert filled["employment"].loc[4:6].sum() == pytest.approx(300, rel=1e-12)
        assert filled["imputed"].tolist()[3:5] == ["establishments+total"] * 2
        assert 100 <= filled["employment"].loc[6] <= 249
        assert impute(table, method="size_class", add_up=False)["employment"].tolist()[3:] == [59.5, 174.5, 174.5]

    def test_later_layout_and_metros(self, tmp_path):
        path = tmp_path / "cbp21msa.txt"
        path.write_text("msa,naics,emp_nf,emp,est,n<5,n5_9\n10180,311///,G,12,3,3,N\n10180,312///,D,0,4,4,N\n")
        table = read_business_patterns(path)
        assert table.attrs["places"] == "metros"
        assert table["employment"].isna().tolist() == [False, True]
        assert impute(table)["employment"].tolist() == [12, 10]

    @pytest.mark.parametrize(
        ("row", "message"),
        [
            (
                business_patterns_row("01001", "31----", "X", "G", 1, {}),
                r"co.txt.*\n.*column empflag must hold .* line 8: 'X'",
            ),
            (
                business_patterns_row("01001", "31x---", "", "G", 1, {}),
                r"column naics must hold six digits.*line 8: '31x---'",
            ),
            (
                business_patterns_row("01001", "21----", "", "G", "many", {}),
                r"column emp must hold a number of workers.*line 8: 'many'",
            ),
            (business_patterns_row("01001", "311///", "", "G", 1, {}), r"line 8 repeats place 01001, industry 311"),
        ],
    )
    def test_bad_cells_are_named(self, row, message, tmp_path):
        with pytest.raises(DataError, match=message):
            read_business_patterns(write_cbp(tmp_path / "cbp14co.txt", [*self.ROWS, row]))

    def test_scaling_stays_within_bounds(self):
        x, low, high = np.array([10.0, 20.0, 30.0]), np.array([5.0, 5.0, 5.0]), np.array([12.0, 90.0, 90.0])
        assert scaled_to(x, low, high, 112.0) == pytest.approx([12, 40, 60])
        assert scaled_to(x, low, high, 3.0) == pytest.approx(low)
        assert scaled_to(x, low, high, 999.0) == pytest.approx(high)


def workbook(path, sheets):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def oews(path, areas, wages=(100_000, 40_000)):
    cells = [
        ("00-0000", "All", "total", 5000, 50000),
        ("11-0000", "Management", "major", 1000, wages[0]),
        ("13-0000", "Business", "major", 500, "*"),
        ("15-0000", "Computing", "major", "**", 90000),
        ("41-0000", "Sales", "major", "2,000", wages[1]),
    ]
    rows = [metro_wages_row(area, "A", *cell) for area in areas for cell in cells]
    return workbook(path, {"MSA_dl_1": [METRO_WAGES, *rows]})


class TestAgencies:
    def test_wages(self, tmp_path):
        path = oews(tmp_path / "MSA_M2014_dl.xlsx", [10180, 10420])
        groups = {"high": ["11-0000", "13-0000", "15-0000"], "low": ["41-0000"]}
        means = mean_wages(read_occupational_wages(path), groups)
        assert means.loc["10180", ("high", "wage")] == 100_000
        assert means.loc["10180", ("high", "cells")] == 1
        assert means.loc["10420", ("low", "employment")] == 2000
        capped = oews(tmp_path / "capped.xlsx", [10180], wages=("#", 40_000))
        assert np.isnan(mean_wages(read_occupational_wages(capped), groups).loc["10180", ("high", "wage")])
        found = mean_wages(read_occupational_wages(capped, highest_wage=187_200.0), groups)
        assert found.loc["10180", ("high", "wage")] == 187_200
        with pytest.raises(DataError, match=r"bad.xlsx.*\n.*column wage must hold dollars a year.*line 3: 'lots'"):
            read_occupational_wages(oews(tmp_path / "bad.xlsx", [10180], wages=("lots", 1)))

    def test_use_table_as_published(self, tmp_path):
        rows = [
            ["The Use of Commodities by Industries"],
            ["(Millions of dollars)"],
            ["Bureau of Economic Analysis"],
            [],
            [],
            [None, "Commodities/Industries", "111CA", "22", None, "F010"],
            ["IOCode", "Name", "Farms", "Utilities", "Total Intermediate", "Consumption"],
            ["111CA", "Farms", 10, "...", 10, 30],
            ["22", "Utilities", 5, 7, 12, 20],
            [None, "Total Intermediate", 15, 7, 22, None],
            ["V001", "Compensation of employees", 10, 11, 21, None],
            ["V002", "Taxes on production and imports, less subsidies", 1, 2, 3, None],
            ["V003", "Gross operating surplus", 14, 12, 26, None],
            [None, "Total Industry Output", 40, 32, 72, None],
        ]
        use = read_use_table(workbook(tmp_path / "use.xlsx", {"2012": rows}), sheet="2012")
        assert use.uses.loc[["111CA", "22"], ["111CA", "22"]].to_numpy().tolist() == [[10, 0], [5, 7]]
        assert list(use.uses.index) == ["111CA", "22"]
        assert use.surplus["22"] == 12
        assert use.output["111CA"] == 40
        with pytest.raises(DataError, match="has no sheet 2013; its sheets are 2012"):
            read_use_table(tmp_path / "use.xlsx", sheet="2013")

    def test_price_parities_and_shipments(self, tmp_path):
        path = tmp_path / "MARPP.csv"
        path.write_text(price_parities_text([2011, 2012], [("10180", "A, TX", (80.0, "(NA)"))]))
        assert read_price_parities(path, [2011, 2012])["10180"] == 80
        path.write_text(price_parities_text([2011, 2012], [("10180", "A, TX", (80.0, "low"))]))
        with pytest.raises(DataError, match="column 2012 must hold an index above 0, but has line 2: 'low'"):
            read_price_parities(path, [2011, 2012])
        cfs = tmp_path / "cfs.csv"
        rows = [
            ["Meaning"] * len(SHIPMENTS),
            shipments_row("311", "Food", 100, 200),
            shipments_row("312", "Beverages", 300, 400),
            shipments_row("313", "Textiles", 5, "S"),
            shipments_row("311", "Food", 1, 9, commodity="01"),
        ]
        cfs.write_text(csv_text(SHIPMENTS, rows))
        assert mean_miles(read_shipments(cfs), ["311", "312", "313"]) == 350
        with pytest.raises(DataError, match="has no row of industry 999: name others"):
            mean_miles(read_shipments(cfs), ["311", "999"])

    def test_delineation(self, tmp_path):
        path = tmp_path / "list1.csv"
        head = "CBSA Code,CBSA Title,Metropolitan/Micropolitan Statistical Area,FIPS State Code,FIPS County Code\n"
        path.write_text(
            f'{head}10180,"Abilene, TX",Metropolitan Statistical Area,48,59\n'
            "10100,Small,Micropolitan Statistical Area,46,013\n10380,San,Metropolitan Statistical Area,72,003\n"
        )
        assert read_delineation(path)["fips"].tolist() == ["48059"]
        path.write_text(f"{head}1018,A,Metropolitan Statistical Area,48,59\n")
        with pytest.raises(DataError, match="column CBSA Code must hold five digits, but has line 2: '1018'"):
            read_delineation(path)

    def test_fitted_margins_keep_odds_ratios(self):
        rng = np.random.default_rng(1)
        start, truth = rng.random((3, 2, 4)) + 0.1, rng.random((3, 2, 4))
        fit = fit_margins(start, {(0, 2): truth.sum(1), (0, 1): truth.sum(2)})
        np.testing.assert_allclose(fit.table.sum(1), truth.sum(1), rtol=1e-11)
        ratio = [t[:, 0, :-1] * t[:, 1, 1:] / (t[:, 1, :-1] * t[:, 0, 1:]) for t in (fit.table, start)]
        np.testing.assert_allclose(*ratio, rtol=1e-9)
        with pytest.raises(DataError, match="margins differ in their totals"):
            fit_margins(start, {(0,): truth.sum((1, 2)), (1,): 2 * truth.sum((0, 2))})


CONFIG = """
title = "Two towns"
[files]
delineation = "list1.csv"
business_patterns = ["cbp14co.txt"]
wages = "wages.xlsx"
use_tables = ["use.csv"]
price_parities = "rpp.csv"
places = "places.csv"
industry_occupations = "industries.csv"
[assumptions]
parity_years = [2014]
missing_parity = "nation"
[[sectors]]
name = "goods"
naics = ["31"]
use_codes = ["311"]
distance_elasticity = 1.0
[[sectors]]
name = "homes"
naics = ["53"]
use_codes = ["HS"]
uses_land = true
[[sectors]]
name = "shops"
naics = ["44"]
use_codes = ["44"]
[[occupations]]
name = "high"
codes = ["11-0000"]
[[occupations]]
name = "low"
codes = ["41-0000"]
mean_wage = 30000.0
"""


@pytest.fixture
def agencies(tmp_path):
    counties = [("01001", "10180", "Abel"), ("01003", "10420", "Bob"), ("01005", "10420", "Bob")]
    (tmp_path / "list1.csv").write_text(csv_text(DELINEATION, [delineation_row(*county) for county in counties]))
    rows = [
        business_patterns_row("01001", "31----", "", "G", 900, {}),
        business_patterns_row("01003", "31----", "", "G", 500, {}),
        business_patterns_row("01001", "53----", "", "G", 60, {}),
        business_patterns_row("01003", "53----", "B", "D", 0, {3: 1}),
        business_patterns_row("01001", "44----", "", "G", 500, {}),
        business_patterns_row("01005", "44----", "", "G", 400, {}),
    ]
    write_cbp(tmp_path / "cbp14co.txt", rows)
    oews(tmp_path / "wages.xlsx", [10180, 10420])
    (tmp_path / "use.csv").write_text(csv_text(USE[0], USE[1:]))
    parities = [("00000", "US", (100,)), ("10180", "A", (90,))]
    (tmp_path / "rpp.csv").write_text(price_parities_text([2014], parities))
    (tmp_path / "places.csv").write_text("city,latitude,longitude\n10180,30,-90\n10420,35,-91\n")
    shares = [("31-33", 50), ("530000", 20), ("44-45", 10)]
    rows = [
        industry_occupations_row(industry, "", code, "", "major", count)
        for industry, high in shares
        for code, count in (("11-0000", high), ("41-0000", 100))
    ]
    (tmp_path / "industries.csv").write_text(csv_text(INDUSTRY_OCCUPATIONS, rows))
    (tmp_path / "own.toml").write_text(CONFIG)
    return tmp_path


USE = (
    ("rowname", "311", "HS", "44"),
    ("311", 30, 2, 10),
    ("HS", 5, 5, 5),
    ("44", 10, 5, 10),
    ("V001", 30, 5, 40),
    ("V002", 2, 2, 2),
    ("V003", 20, 60, 10),
    ("Total Industry Output", 97, 79, 77),
)


class TestBuilder:
    def test_assembles_a_valid_data_set_and_counts_what_is_imputed(self, agencies):
        built = build_from_config(agencies / "own.toml")
        data = built.data
        assert sj.validate(data, housing_share=0.3) == ()
        np.testing.assert_allclose(data["employment"].sum("occupation"), [[900, 60, 500], [500, 34.5, 400]], rtol=1e-9)
        assert built.imputations[["variable", "city", "how"]].to_numpy().tolist() == [
            ["employment", "10420", "establishments"],
            ["housing_price", "10420", "nation"],
        ]
        assert data.attrs["imputed_cells"] == 2
        # Rents are 0.74 of all surplus: value added of homes, bought by the others.
        rent = 0.74 * np.array([20, 60, 10])
        homes = 5 + rent.sum()
        np.testing.assert_allclose(data["value_added_share"][1], homes / (homes + 12))
        np.testing.assert_allclose(data["input_share"][1, 0], (5 + rent[0]) / (30 + 45 + rent[0]))
        low = data["wage"][:, 1] * data["employment"].sum("sector")[:, 1]
        assert float(low.sum() / data["employment"][:, 1].sum()) == pytest.approx(30_000)

    def test_command_writes_both_forms(self, agencies):
        for out in ("own.nc", "own"):
            result = CliRunner().invoke(data_app, ["build", str(agencies / "own.toml"), "--out", str(agencies / out)])
            assert result.exit_code == 0, result.output
            assert "imputed (establishments)" in result.output
        xr.testing.assert_equal(xr.load_dataset(agencies / "own.nc"), read_folder(agencies / "own"))
        assert len(pd.read_csv(agencies / "own.imputations.csv")) == 2

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ('missing_parity = "nation"', "", "has no price parity of 10420"),
            ('naics = ["44"]', 'naics = ["44", "311"]', "NAICS 311 lies within 31"),
            ('use_codes = ["44"]', 'use_codes = ["99"]', "has no industry and commodity 99"),
            ("parity_years", "parity_year", "assumptions.parity_year: there is no such key"),
            ("uses_land = true", "", "uses_land must be true in exactly one sector"),
            ('naics = ["44"]', "uses_land = true", "but is in homes, shops: .* land_share, in the data set"),
            ('title = "Two towns"', "title = [", "is not TOML"),
            ("parity_years = [2014]", "parity_years = []", "assumptions.parity_years: .* at least 1 item"),
            (
                'places = "places.csv"',
                'places = "towns.csv"',
                r"own.toml: a file .*\n  - files.places: .*towns.csv: no such",
            ),
            ('use_codes = ["44"]', "", r"sector 2 has no value added \(its codes: none\)"),
            ('missing_parity = "nation"', 'missing_parity = "nonmetropolitan"', "has no price parity of 00999"),
            ("[files]", '[files]\ntable_sheets = ["1", "2"]', "as many table_sheets as use_tables"),
        ],
    )
    def test_refuses_by_name(self, agencies, old, new, message):
        assert CONFIG.count(old)
        (agencies / "own.toml").write_text(CONFIG.replace(old, new, 1))
        with pytest.raises((DataError, ConfigError), match=message):
            build_from_config(agencies / "own.toml")

    @pytest.mark.parametrize(
        ("written", "message"),
        [
            (b"\x89HDF\r\n\x1a\n\xff\xfe", "is not a text file; a configuration is TOML"),
            (b"title = " + b"9" * 5000, "is not TOML"),
            (b"title = " + b"[" * 5000, "is not TOML"),
            (None, "cannot be read: No such file"),
        ],
    )
    def test_a_file_of_another_kind_is_no_configuration(self, written, message, tmp_path):
        path = tmp_path / "data.nc"
        if written is not None:
            path.write_bytes(written)
        result = CliRunner().invoke(data_app, ["build", str(path), "--out", str(tmp_path / "own.nc")])
        assert result.exit_code == 1
        assert message in " ".join(result.output.split())
        assert "Traceback" not in result.output
        with pytest.raises(ConfigError, match="data.nc"):
            build_from_config(path)

    def test_a_city_that_is_there_twice_is_named(self, agencies):
        with open(agencies / "places.csv", "a") as places:
            places.write("10420,36,-92\n")
        with pytest.raises(DataError, match=r"places\.csv: 1 problem\n.*line 4 repeats 10420"):
            build_from_config(agencies / "own.toml")

    def test_infinitely_many_workers_are_refused_by_file_and_column(self, agencies):
        path = agencies / "industries.csv"
        text = path.read_text()
        row = next(line for line in text.splitlines() if "11-0000" in line)
        path.write_text(text.replace(row, row.replace(",50,", ",inf,"), 1))
        assert "inf" in path.read_text()
        with pytest.raises(DataError, match=r"industries\.csv: 1 problem\n.*column TOT_EMP must hold workers.*'inf'"):
            build_from_config(agencies / "own.toml")

    def test_all_files_that_are_missing_are_named_at_once(self, agencies):
        (agencies / "use.csv").unlink()
        (agencies / "cbp14co.txt").unlink()
        with pytest.raises(ConfigError) as caught:
            build_from_config(agencies / "own.toml")
        first, *lines = str(caught.value).splitlines()
        assert first.startswith(
            f"{agencies / 'own.toml'}: 2 files that it names are missing; put each where the key says"
        )
        assert lines == [
            f"  - files.business_patterns: {agencies / 'cbp14co.txt'}: no such file",
            f"  - files.use_tables: {agencies / 'use.csv'}: no such file",
        ]

    def test_sheets_of_a_workbook_are_years(self, agencies):
        """A sheet a year, as the Bureau publishes; the mean over two years is that of two files."""
        later = [USE[0], *((name, *(2 * x + 1 for x in row)) for name, *row in USE[1:])]
        (agencies / "later.csv").write_text(csv_text(later[0], later[1:]))
        sheets = {
            year: [[None, "Name", *head[1:]], *([row[0], "A", *row[1:]] for row in rows)]
            for year, (head, *rows) in (("2013", USE), ("2014", later))
        }
        workbook(agencies / "use.xlsx", {"ReadMe": [["about"]], **sheets})
        used = 'use_tables = ["use.csv"]'

        def shares(new):
            (agencies / "own.toml").write_text(CONFIG.replace(used, new))
            return build_from_config(agencies / "own.toml").data[["value_added_share", "input_share"]]

        of_files = shares('use_tables = ["use.csv", "later.csv"]')
        of_sheets = shares('use_tables = ["use.xlsx", "use.xlsx"]\ntable_sheets = ["2013", "2014"]')
        xr.testing.assert_allclose(of_sheets, of_files, rtol=1e-14)


class TestAgencyExample:
    """`spatialjax data template --example agencies`: files in the agencies' layouts that build an economy."""

    def test_builds_an_economy_by_the_commands_of_the_guide(self, tmp_path):
        guide = (ROOT / "docs" / "own-data.md").read_text()
        commands = ["data template agencies --example agencies", "data build agencies/build.toml --out mine.nc"]
        commands.append("validate mine.nc")
        assert "\n".join(f"spatialjax {command}" for command in commands) in guide
        printed = ""
        for command in commands:
            done = subprocess.run(
                [sys.executable, "-m", "spatialjax", *command.split()], cwd=tmp_path, capture_output=True, text=True
            )
            assert done.returncode == 0, done.stderr
            printed += done.stdout
        assert "mine.nc: a valid city economy (4 cities, 5 sectors, 2 occupations)" in printed
        (shown,) = re.findall(r"^```text\n(Four made-up towns:.*?)```", guide, re.DOTALL | re.MULTILINE)
        assert " ".join(shown.split()) in " ".join(printed.split())
        data = sj.load_data(tmp_path / "mine.nc")
        economy = sj.invert(data, spillover=sj.NoSpillover())
        assert economy.mended == ()
        np.testing.assert_allclose(sj.solve(economy).employment, data["employment"].sum("sector"), rtol=1e-7)

    def test_what_is_withheld_is_imputed_within_what_is_published(self, tmp_path):
        write_template(tmp_path / "own", "agencies")
        built = build_from_config(tmp_path / "own" / "build.toml")
        employment = built.data["employment"].sum("occupation")
        made = employment.sel(city="90200", sector=["food", "machines"]).sum()
        assert float(made) == pytest.approx(
            9_000 + 21_500 + 9_000, rel=1e-9
        )  # Birch County's, and Brook County's total
        assert built.imputations["how"].tolist() == [
            *["establishments+total"] * 2,
            "establishments",
            "nonmetropolitan",
        ]

    def test_every_file_is_in_the_configuration_and_the_guide(self):
        files = agency_files()
        guide = (ROOT / "docs" / "own-data.md").read_text()
        for name in files.keys() - {"README.md", "build.toml"}:
            assert f'"{name}"' in files["build.toml"], name
            assert f"`{name}`" in guide, name


class TestReference:
    """Every key of a build is described, on the page of configurations."""

    def test_every_key_has_a_description(self):
        for section in (BuildConfig, Files, Assumptions, Sector, Occupation):
            for name, field in section.model_fields.items():
                assert field.description or name in ("files", "assumptions"), f"{section.__name__}.{name}"

    @pytest.mark.parametrize("section", [Sector, Occupation])
    def test_rows_of_tables_that_repeat_are_those_of_the_schema(self, section):
        page = (ROOT / "docs" / "reference" / "configurations.md").read_text()
        for name, field in section.model_fields.items():
            (row,) = re.findall(rf"^\| `{name}` \|.*\| {re.escape(field.description)} \|$", page, re.MULTILINE)
            assert row.count("|") == 5, row
