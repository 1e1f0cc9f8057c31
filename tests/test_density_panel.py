"""A user's own panel: files, Arrow tables, compact columns, checks, earnings and moves."""

import jax
import numpy as np
import pandas as pd
import pytest

from spatialjax.density.panel import COLUMNS, as_panel, read_panel, with_earnings, with_moves
from spatialjax.density.panel_checks import check_panel, find_panel_problems
from spatialjax.density.simulation import simulate_history, simulate_panel
from spatialjax.errors import DataError

CBSAS = pd.DataFrame(
    {"density": [50.0, 500.0], "population": [1e5, 2e6], "college_share": [0.15, 0.25]},
    index=pd.Index([10180, 35620], name="cbsa"),
)
DRAW = {"key": jax.random.key(3), "establishments_per_year": 3000, "chunk": 8192}


@pytest.fixture(scope="module")
def panel():
    return simulate_panel(CBSAS, **DRAW)


@pytest.fixture
def small(panel):
    """Eight rows, a copy for each test: two entrants first."""
    first = panel[panel["entrant"] & ~panel["exit"]].iloc[:2]
    others = panel[~panel["entrant"] & ~panel["exit"]].iloc[:6]
    return pd.concat([first, others], ignore_index=True)


def test_a_panel_has_the_columns_and_types_that_are_promised(panel):
    assert {name: np.dtype(kind) for name, kind in COLUMNS.items()} == panel.dtypes.to_dict()
    assert find_panel_problems(panel, CBSAS) == []
    pd.testing.assert_frame_equal(as_panel(panel), panel)


@pytest.mark.parametrize("ending", ["parquet", "csv", "csv.gz"])
def test_files_are_read_as_they_were_written(small, tmp_path, ending):
    path = tmp_path / f"panel.{ending}"
    wide = small.astype({"age": np.int64, "multi_unit": np.int64, "employment": np.float64})
    wide.to_parquet(path) if ending == "parquet" else wide.to_csv(path, index=False)
    pd.testing.assert_frame_equal(read_panel(path, CBSAS), small, rtol=1e-6)


def test_arrow_tables_are_read(small):
    pyarrow = pytest.importorskip("pyarrow")
    nullable = small.assign(cbsa_lag=small["cbsa_lag"].astype("Int64").replace(-1, pd.NA))
    table = pyarrow.Table.from_pandas(nullable, preserve_index=False)
    assert table["cbsa_lag"].null_count == 2
    pd.testing.assert_frame_equal(as_panel(table), small)


def test_large_identifiers_and_other_columns_are_kept(small):
    large = 2**60 + np.arange(len(small))
    wide = small.assign(establishment=pd.array(large, "Int64"), name="x")
    compact = as_panel(wide)
    assert compact["establishment"].tolist() == large.tolist()
    assert (compact["name"] == "x").all()


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("age", 2.5, "column age must hold whole numbers from -128 to 127, but 8 rows do not: 2.5 in row 0"),
        ("age", 400, "column age must hold whole numbers from -128 to 127"),
        ("year", np.nan, "column year must hold whole numbers"),
        ("exit", 2, "column exit must hold 0 or 1, but 8 rows do not: 2 in row 0, 2 in row 1, 2 in row 2"),
        ("cbsa", "New York", "column cbsa holds str; it must hold numbers"),
    ],
)
def test_columns_that_cannot_be_stored_are_named(small, column, values, message):
    with pytest.raises(DataError) as caught:
        as_panel(small.assign(**{column: values}), source="mine.csv")
    assert str(caught.value).startswith("mine.csv: 1 problem")
    assert caught.value.problems[0].replace("object", "str").startswith(message)


def test_what_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_panel(tmp_path / "none.csv")
    (tmp_path / "panel.xlsx").write_text("")
    with pytest.raises(DataError, match=r"is neither .parquet nor .csv nor .csv.gz"):
        read_panel(tmp_path / "panel.xlsx")
    (tmp_path / "panel.parquet").write_text("no parquet")
    with pytest.raises(DataError, match="cannot be read"):
        read_panel(tmp_path / "panel.parquet")
    with pytest.raises(DataError, match="a DataFrame or an Arrow table is needed, found list"):
        as_panel([1, 2])


def first(column, value):
    """A panel with one value of its first row replaced."""

    def change(panel):
        changed = panel.copy()
        changed[column] = changed[column].where(changed.index > 0, value).astype(changed[column].dtype)
        return changed

    return change


def third(column, value):
    """The same in the third row, which is no entrant."""

    def change(panel):
        changed = panel.copy()
        changed[column] = changed[column].where(changed.index != 2, value).astype(changed[column].dtype)
        return changed

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (first("employment", 0), "employment must be positive in every row"),
        (first("employment", -3), "employment must be positive in every row"),
        (first("employment", np.nan), "employment must be positive in every row"),
        (third("employment_lag", 0), "employment_lag must be positive, or NaN for none"),
        (first("payroll", -1), "payroll is negative or infinite"),
        (third("payroll_lag", -1), "payroll_lag is negative or infinite"),
        (first("earnings", 0), "earnings must be positive"),
        (third("earnings_lag", np.inf), "earnings_lag is negative or infinite"),
        (first("earnings_lead", -1), "earnings_lead is negative or infinite"),
        (third("age", 17), "age must be 0 to 16"),
        (third("age", -1), "age must be 0 to 16"),
        (first("tenure", 7), "tenure must be 0 to 6"),
        (first("county_changes", -1), "county_changes is negative"),
        (first("industry2", 99), "industry2 is not the first two digits of industry"),
        (first("employment_lag", 3), "entrant, but with employment the year before"),
        (first("payroll_lag", 3), "entrant, but with payroll of the year before"),
        (first("earnings_lag", 3), "entrant, but with earnings of the year before"),
        (first("cbsa_lag", 10180), "entrant, but with a CBSA the year before (it must be -1)"),
        (first("age", 3), "entrant, but of an age above 0"),
        (third("age", 0), "age 0, but not an entrant"),
        (third("employment_lag", np.nan), "no entrant, but without employment_lag"),
        (first("payroll", np.nan), "entrant without payroll"),
        (third("payroll_lag", np.nan), "employment_lag without payroll_lag"),
        (third("exit", True), "exit, but with earnings of the year after"),
        (lambda p: third("moved", True)(third("county_changes", 0)(p)), "moved, but without a change of county"),
        (first("cbsa", 99999), "cbsa is not in the CBSA table"),
        (first("cbsa", -1), "cbsa is not in the CBSA table"),
        (third("cbsa_lag", 99999), "cbsa_lag is not in the CBSA table"),
    ],
)
def test_rows_that_cannot_be_are_named(small, change, message):
    bad = change(small)
    problems = find_panel_problems(bad, CBSAS)
    found = [problem for problem in problems if problem.startswith(message)]
    row = next(n for n in (0, 2) if not bad.iloc[n].equals(small.iloc[n]))
    assert len(found) == 1, problems
    assert f": establishment {bad['establishment'][row]} in {bad['year'][row]} (" in found[0]


def test_missing_columns_types_and_keys_are_named(small):
    assert find_panel_problems(small.drop(columns=["firm", "exit"])) == [
        "column firm is missing",
        "column exit is missing",
    ]
    assert find_panel_problems(small.drop(columns=["county", "earnings", "tenure", "moved"])) == []
    assert find_panel_problems(small.iloc[:0]) == ["there are no rows"]
    unfit = small.assign(year=1992.5, entrant=1, payroll="much")
    assert [problem.split(";")[0].replace("object", "str") for problem in find_panel_problems(unfit)] == [
        "column year holds float64",
        "column payroll holds str",
        "column entrant holds int64",
    ]
    twice = pd.concat([small, small.iloc[[4]]])
    named = f"establishment {small['establishment'][4]} in {small['year'][4]}"
    assert find_panel_problems(twice) == [f"establishment and year occur more than once: {named}"]


def test_every_problem_is_listed(small):
    bad = first("employment", -1)(first("payroll", -1)(small)).drop(columns="firm")
    with pytest.raises(DataError) as caught:
        check_panel(bad, "mine.csv", CBSAS)
    assert str(caught.value).startswith("mine.csv: 3 problems")
    assert "column firm is missing" in caught.value.problems


def test_long_lists_are_cut(small):
    (problem,) = find_panel_problems(small.assign(employment=np.float32(0.0)))
    assert problem.endswith(" and 5 more")
    assert problem.count("establishment ") == 3


def test_earnings_are_made_of_payroll(panel):
    made, imputation = with_earnings(panel.drop(columns="earnings"))
    np.testing.assert_allclose(made["earnings"], panel["earnings"], rtol=1e-5)
    assert imputation.counts.to_numpy().sum() == len(panel)
    with pytest.raises(DataError, match="column industry2 is missing"):
        with_earnings(panel.drop(columns="industry2"))


def test_moves_are_those_of_a_history():
    history = pd.DataFrame(
        {
            "establishment": [1] * 4 + [2] * 4 + [3] * 3 + [4],
            "year": [1994, 1995, 1996, 1997] * 2 + [1994, 1996, 1997, 1997],
            "cbsa": [7, 7, 8, 8, 7, 8, 7, 7, 7, 8, 8, 7],
            "county": [70, 71, 80, 80, 70, 80, 70, 70, 70, 80, 80, 70],
        }
    )
    rows = pd.DataFrame({"establishment": [1, 1, 2, 3, 4, 5], "year": [1997, 1995, 1997, 1997, 1997, 1997]})
    rows["age"] = [9, 7, 4, 16, 0, 3]
    found = with_moves(rows, history.sample(frac=1, random_state=1))
    assert found["county_changes"].tolist() == [2, 2, 2, 0, 0, 0]  # a gap of a year is no change
    assert found["moved"].tolist() == [True, False, True, False, False, False]
    assert found["tenure"].tolist() == [1, 6, 1, 6, 0, 3]
    with pytest.raises(DataError, match=r"1 establishments have a year twice: 1 \(1994\)"):
        with_moves(rows, pd.concat([history, history.iloc[[0]]]))
    with pytest.raises(DataError, match="column county is missing"):
        with_moves(rows, history.drop(columns="county"))


def test_moves_of_a_simulated_history_are_those_of_its_panel(panel):
    history = simulate_history(CBSAS, **DRAW, one_in=1)
    born = panel.loc[panel["entrant"], "establishment"]
    whole = panel[panel["establishment"].isin(born)].reset_index(drop=True)
    names = ["county_changes", "moved", "tenure"]
    pd.testing.assert_frame_equal(with_moves(whole.drop(columns=names), history)[names], whole[names])
    assert whole["moved"].any()
