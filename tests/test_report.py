"""Reports and comparisons of runs: what is on the page, in a real browser, and who may write to a folder."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from typer.testing import CliRunner

import spatialjax as sj
from spatialjax.cli import app
from spatialjax.errors import OutputError
from spatialjax.report.checks import checks_of
from spatialjax.report.content import Check, Report, Table
from spatialjax.report.folder import write_report
from spatialjax.report.page import MOST_ROWS, cell, page
from spatialjax.workflow.comparison import compare, compared_figures
from spatialjax.workflow.run_folder import held, run_folder
from spatialjax.workflow.schema import RunConfig

SMALL = """
[data]
source = "{folder}/small.nc"
[output]
folder = "{folder}/first"
[counterfactual.without]
spillover.kind = "none"
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs on the twelve largest cities, which differ in the trade elasticity; the second without figures."""
    folder = tmp_path_factory.mktemp("runs")
    data = sj.load_data("us-metros")
    size = data["employment"].sum(("occupation", "sector"))
    data.isel(city=np.sort(np.argsort(-size.values)[:12])).to_netcdf(folder / "small.nc")
    (folder / "small.toml").write_text(SMALL.format(folder=folder))
    command = ["run", str(folder / "small.toml")]
    for more in (
        [],
        ["--set", "model.trade_elasticity=8", "--set", "output.figures=false", "--out", f"{folder}/second"],
    ):
        outcome = CliRunner().invoke(app, [*command, *more])
        assert outcome.exit_code == 0, outcome.output
    return folder


class Page(HTMLParser):
    """Addresses that a page refers to, and how elements are nested."""

    VOID = frozenset({"meta", "link", "input", "img", "br", "hr"})

    def __init__(self, text):
        super().__init__()
        self.addresses, self.open, self.identifiers = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.addresses += [values[name] for name in ("src", "href", "xlink:href") if name in values]
        self.identifiers += [values["id"]] if "id" in values else []
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


class TestPage:
    def test_needs_nothing_from_outside(self, runs):
        text = (runs / "first" / "report.html").read_text()
        found = Page(text)
        assert found.open == []
        assert len(set(found.identifiers)) == len(found.identifiers)
        outside = [a for a in found.addresses if not a.startswith(("#", "data:")) and not (runs / "first" / a).exists()]
        assert outside == []
        inside = {address[1:] for address in found.addresses if address.startswith("#")}
        assert inside <= set(found.identifiers)
        assert not re.search(r"@import|url\((?!#)", text)

    def test_begins_with_certificates_and_says_where_it_comes_from(self, runs):
        text = (runs / "first" / "report.html").read_text()
        assert text.index("Diagnostics and certificates") < text.index("Headline figures") < text.index("<h2>Figures")
        assert "the first-order conditions hold and curvature is negative" in text
        assert "The data are an equilibrium of the inverted economy" in text
        assert "US metropolitan areas by industry and occupation" in text
        assert 'kind = "none"' in text.replace("&#34;", '"')
        for package in ("jax", "numpy", "xarray"):
            assert f"<dt>{package}</dt>" in text

    def test_points_say_their_names(self, runs):
        text = (runs / "first" / "report.html").read_text()
        assert re.search(r"<circle[^>]*>\s*<title>San Francisco-Oakland-Hayward, CA: ", text)

    def test_tables_are_csv_and_latex(self, runs):
        for name in ("summary", "cities", "sectors"):
            table = pd.read_csv(runs / "first" / f"{name}.csv")
            latex = (runs / "first" / f"{name}.tex").read_text()
            assert r"\toprule" in latex
            assert latex.count(r"\\") >= len(table) + 1

    def test_every_figure_has_its_data_beside_it(self, runs):
        stems = {path.with_suffix("") for path in (runs / "first" / "figures").iterdir()}
        assert len(stems) > 5
        for stem in stems:
            assert all(stem.with_name(f"{stem.name}.{kind}").stat().st_size > 0 for kind in ("png", "svg", "csv"))

    def test_can_be_written_again_from_the_folder(self, runs, tmp_path):
        copy = shutil.copytree(runs / "first", tmp_path / "copy")
        before = (copy / "report.html").read_text()
        (copy / "report.html").unlink()
        assert CliRunner().invoke(app, ["report", str(copy)]).exit_code == 0
        again = (copy / "report.html").read_text()
        without_list = [re.sub(r"\d+ files.*", "", text, flags=re.DOTALL) for text in (before, again)]
        assert without_list[0] == without_list[1]

    def test_of_a_folder_without_a_run_is_refused(self, tmp_path):
        with pytest.raises(
            OutputError, match=r"has no run.json: a report is made of the folder of a run that has ended"
        ):
            write_report(tmp_path)
        (tmp_path / "run.json").write_text("{")
        (tmp_path / "config.toml").write_text("")
        with pytest.raises(OutputError, match="is not the record of a run"):
            write_report(tmp_path)

    def test_text_is_escaped_and_long_tables_are_cut(self):
        frame = pd.DataFrame({"name": ["<b>"] * (MOST_ROWS + 7), "x": 1.5})
        text = page(Report("<i>", "", checks=[Check("<u>", "&")], tables=[Table("long", frame, "long.csv")]))
        assert not re.search(r"<[biu]>", text)
        assert "7 further rows are in long.csv" in text
        assert text.count("&lt;b&gt;") == MOST_ROWS

    @pytest.mark.parametrize(
        ("value", "shown"),
        [(1.0, "1"), (0.123456, "0.1235"), (-12345.6, "-12,346"), (np.nan, ""), (None, ""), (True, "yes"), ("a", "a")],
    )
    def test_cells(self, value, shown):
        assert cell(value) == shown


class TestChecks:
    def test_what_failed_comes_first(self):
        record = {
            "precision": "float64",
            "equilibria_solved": {"data": {"largest_log_excess": 1e-3, "evaluations": 9}},
            "optima": {"data": {"outcome": "none", "gain": []}},
            "competitive": {"data_are_an_equilibrium": 1e-12, "leading_eigenvalue": 0.5, "stable": True},
            "scenarios": {"solved": 3, "failed": 1},
            "tables_left_out": {"table": "too small"},
        }
        verdicts = {check.name: check.verdict for check in checks_of(record)}
        bad = [
            "Equilibrium: data",
            "Optimum: data",
            "Optimal policy, competitive",
            "Scenarios",
            "Table left out: table",
        ]
        assert [name for name, verdict in verdicts.items() if verdict == "attention"] == bad
        assert list(verdicts)[: len(bad)] == bad
        assert verdicts["Precision"] == "good"

    @pytest.mark.parametrize(
        ("residual", "curvature", "verdict"),
        [(1e-12, [-1.0, -2.0], "good"), (1e-3, [-1.0], "attention"), (1e-12, [-1.0, 0.5], "attention")],
    )
    def test_an_optimum_is_good_only_with_a_certificate(self, residual, curvature, verdict):
        certificate = {"residual": residual, "curvature": curvature}
        (check,) = checks_of({"optima": {"data": {"outcome": "o", "certificate": certificate}}})
        assert check.verdict == verdict


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def browser():
    webdriver = pytest.importorskip("selenium.webdriver")
    driver = shutil.which("chromedriver")
    if CHROMIUM is None or driver is None:
        missing = "Chromium and its driver are not installed"
        if os.environ.get("SPATIALJAX_TEST_BROWSER"):
            pytest.fail(f"{missing}, and SPATIALJAX_TEST_BROWSER asks for them")
        pytest.skip(missing)
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    opened = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield opened
    opened.quit()


class TestInBrowser:
    def opened(self, browser, path, width=1200):
        browser.set_window_size(width, 900)
        browser.get(path.as_uri())
        return browser

    def test_no_errors_and_no_connections(self, browser, runs):
        page = self.opened(browser, runs / "first" / "report.html")
        assert page.title == "City economy - spatialjax"
        assert [entry for entry in page.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []
        loaded = page.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
        assert [name for name in loaded if not name.startswith("data:")] == []
        shown = page.execute_script("return Array.from(document.querySelectorAll('.figures svg'), s => s.clientHeight)")
        assert len(shown) > 5
        assert min(shown) > 100

    def test_columns_are_sorted_by_numbers_and_rows_filtered(self, browser, runs):
        page = self.opened(browser, runs / "first" / "report.html")
        column = """
            const heads = Array.from(document.querySelectorAll('[data-title=Sectors] th'));
            const head = heads.find(th => th.textContent === 'employment');
            head.click();
            const cells = Array.from(head.closest('table').tBodies[0].rows, row => row.cells[head.cellIndex]);
            return cells.map(cell => Number(cell.dataset.value));
        """
        employment = pd.read_csv(runs / "first" / "sectors.csv")["employment"]
        np.testing.assert_allclose(page.execute_script(column), np.sort(employment), rtol=1e-12)
        np.testing.assert_allclose(page.execute_script(column), np.sort(employment)[::-1], rtol=1e-12)
        shown = page.execute_script("""
            const field = document.querySelector('#results input');
            field.value = 'optimum'; field.dispatchEvent(new Event('input'));
            return Array.from(document.querySelectorAll('#results tbody tr')).filter(row => !row.hidden).length;
        """)
        figures = pd.read_csv(runs / "first" / "summary.csv")["figure"]
        assert shown == figures.str.contains("optimum").sum() > 0

    def test_a_touched_city_says_its_name(self, browser, runs):
        page = self.opened(browser, runs / "first" / "report.html")
        text = page.execute_script("""
            const city = document.querySelector('.figures circle title').parentNode;
            const name = city.querySelector('title').textContent;
            city.dispatchEvent(new PointerEvent('pointerdown', {bubbles: true, clientX: 50, clientY: 60}));
            const tip = document.getElementById('tip');
            return [name, tip.hidden, tip.textContent];
        """)
        assert text == [text[0], False, text[0]]

    def test_fits_a_telephone(self, browser, runs):
        self.opened(browser, runs / "first" / "report.html", width=500)
        browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride", {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
        )
        try:
            width = browser.execute_script("return [document.documentElement.scrollWidth, window.innerWidth]")
            assert width[0] <= width[1] == 360
        finally:
            browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


class TestComparison:
    def test_of_two_runs(self, runs, tmp_path):
        found = compare(runs / "first", runs / "second", tmp_path / "compared")
        keys = found.tables["configuration"].set_index("key")
        assert keys.loc["model.trade_elasticity"].tolist() == ["10.0", "8.0"]
        one, other = (xr.open_dataset(runs / name / "optimum.nc") for name in ("first", "second"))
        rows = found.tables["variables"].set_index(["data set", "variable"])
        change = other["wage"] / one["wage"] - 1
        row = rows.loc[("optimum", "wage")]
        np.testing.assert_allclose(abs(row["largest"]), float(abs(change).max()))
        largest = change.isel(abs(change).argmax(...))
        assert row["at"] == f"{largest['title'].item()}, {largest['occupation'].item()}"
        places = found.tables["places"]
        assert places["city"].tolist() == [str(city) for city in one["city"].values]
        figures = found.tables["summary"]
        ours = pd.read_csv(runs / "first" / "summary.csv")
        assert figures["figure"].tolist() == ours["figure"].tolist()
        np.testing.assert_allclose(figures["difference"], figures["second"] - figures["first"])
        assert (found.folder / "report.html").exists()
        assert list((found.folder / "figures").glob("*.svg"))

    def test_of_a_run_with_itself_finds_nothing(self, runs, tmp_path):
        found = compare(runs / "first", runs / "first", tmp_path / "compared")
        assert "configuration" not in found.tables
        assert (found.tables["variables"]["largest"] == 0).all()
        assert not (found.folder / "figures").exists()

    def test_rows_that_one_run_lacks_are_kept(self):
        first = pd.DataFrame({"figure": ["a", "a", "c"], "ours": [1.0, 2.0, 3.0]})
        second = pd.DataFrame({"figure": ["a", "b"], "ours": [1.5, 4.0]})
        table = compared_figures(first, second)
        assert table["figure"].tolist() == ["a", "a", "c", "b"]
        np.testing.assert_array_equal(table["first"], [1.0, 2.0, 3.0, np.nan])
        np.testing.assert_array_equal(table["second"], [1.5, np.nan, np.nan, 4.0])
        assert table["percent"][0] == pytest.approx(50.0)

    def test_refuses_what_is_no_run(self, runs, tmp_path):
        with pytest.raises(OutputError, match="has no run.json and no config.toml: it is not the folder of a run"):
            compare(tmp_path, runs / "first", tmp_path / "out")


class TestRunFolder:
    def test_two_runs_into_one_folder_are_refused(self, runs, tmp_path):
        script = (
            "import sys; from pathlib import Path; from spatialjax.workflow.run_folder import held\n"
            "with held(Path(sys.argv[1])): print('held', flush=True); sys.stdin.readline()\n"
        )
        folder = tmp_path / "shared"
        folder.mkdir()
        with subprocess.Popen(
            [sys.executable, "-c", script, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as holder:
            assert holder.stdout.readline() == "held\n"
            outcome = CliRunner().invoke(app, ["run", str(runs / "small.toml"), "--out", str(folder)])
            assert outcome.exit_code == 1
            assert f"another run is being written to {folder} (process {holder.pid} on" in outcome.output
            assert "Traceback" not in outcome.output
            holder.communicate("\n")
        with held(folder):
            pass
        assert os.listdir(folder) == []

    def test_a_killed_run_leaves_its_folder_free(self, tmp_path):
        script = (
            "import sys, time; from pathlib import Path; from spatialjax.workflow.run_folder import held\n"
            "with held(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)\n"
        )
        with subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
        ) as holder:
            assert holder.stdout.readline() == "held\n"
            holder.kill()
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with held(tmp_path):
                break

    def test_results_of_another_configuration_are_not_mixed(self, runs, tmp_path):
        copy = shutil.copytree(runs / "first", tmp_path / "copy")
        (copy / "mine.txt").write_text("a user's")
        config = RunConfig.model_validate({"model": {"trade_elasticity": 8.0}})
        refusal = r"(?s)another configuration.*model.trade_elasticity: 10.0 there, 8.0 here"
        with pytest.raises(OutputError, match=refusal), run_folder(copy, config):
            pass
        files = json.loads((copy / "run.json").read_text())["files"]
        assert "figures/share_and_premium.svg" in files
        with run_folder(copy, config, anew=True):
            left = [path.name for path in copy.rglob("*") if path.is_file() and path.name != ".spatialjax.lock"]
            assert left == ["mine.txt"]

    def test_files_outside_are_never_removed(self, tmp_path):
        outside = tmp_path / "outside.txt"
        outside.write_text("kept")
        folder = tmp_path / "run"
        folder.mkdir()
        (folder / "run.json").write_text(json.dumps({"files": ["../outside.txt", str(outside)]}))
        with run_folder(folder, RunConfig(), anew=True):
            pass
        assert outside.exists()

    def test_a_folder_of_a_sweep_is_refused(self, tmp_path):
        (tmp_path / "sweep.toml").write_text("")
        with pytest.raises(OutputError, match="has the results of a sweep"), run_folder(tmp_path, RunConfig()):
            pass
