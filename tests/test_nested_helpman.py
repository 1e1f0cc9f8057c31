"""Redding and Rossi-Hansberg (2017): borders on a grid."""

import os
from heapq import heappop, heappush

import numpy as np
import pytest

from spatialjax.errors import ConfigError, DataError
from spatialjax.nested import helpman
from spatialjax.workflow.config import load_config
from spatialjax.workflow.nested_run import run_nested

PEERS = os.environ.get("SPATIALJAX_PEERS", "")
SMALL = 6


def shortest(side):
    """Dijkstra on the grid whose diagonal steps cost sqrt 2, cells numbered down the columns."""
    lengths = np.full((side**2, side**2), np.inf)
    for start in range(side**2):
        queue = [(0.0, start)]
        while queue:
            length, cell = heappop(queue)
            if length >= lengths[start, cell]:
                continue
            lengths[start, cell] = length
            column, row = divmod(cell, side)
            for across in (-1, 0, 1):
                for down in (-1, 0, 1):
                    if 0 <= column + across < side and 0 <= row + down < side and (across or down):
                        step = np.hypot(across, down)
                        heappush(queue, (length + step, (column + across) * side + row + down))
    np.fill_diagonal(lengths, 1.0)
    return lengths


def productivity(seed=0):
    return np.random.default_rng(seed).normal(0, 0.5, SMALL**2)


def test_distances_are_shortest_paths():
    np.testing.assert_allclose(helpman.quasi_euclidean(5), shortest(5), atol=1e-12)


def test_the_grid_has_the_borders_that_it_should():
    data = helpman.grid_data(productivity(), outer=3.0, inner=2.0)
    cost, length = data["iceberg_cost"].values, helpman.quasi_euclidean(SMALL) ** 0.33
    west = data["country_of_city"].values == "west"
    np.testing.assert_array_equal(west, np.arange(SMALL**2) < SMALL**2 / 2)
    assert cost[0, 0] == 1
    assert cost[0, 1] == pytest.approx(2 * length[0, 1])
    assert cost[0, -1] == pytest.approx(6 * length[0, -1])
    level = np.log(data["productivity"].values[:, 0])
    np.testing.assert_allclose([level[west].mean(), level[~west].mean()], 0, atol=1e-14)


def test_a_small_grid_is_an_equilibrium_of_the_papers_equations():
    made = helpman.experiment(productivity())
    data = helpman.grid_data(productivity())
    found, people = made.base, made.base.employment[:, 0]
    theta, share = 4.0, helpman.GOODS_SHARE
    level = data["productivity"].values[:, 0] * people**0.25
    wage = np.asarray(found.wage[:, 0])
    strength = (data["iceberg_cost"].values * wage / level) ** -theta
    shares = strength / strength.sum(1, keepdims=True)
    np.testing.assert_allclose(shares.T @ (wage * people), wage * people, rtol=1e-8)
    price = strength.sum(1) ** (-1 / theta)
    rent = (1 - share) / share * wage * people
    utility = wage / share / (price**share * rent ** (1 - share))
    west = data["country_of_city"].values == "west"
    for country, known in zip((west, ~west), np.asarray(found.welfare[:, 0]), strict=True):
        np.testing.assert_allclose(utility[country], known, rtol=1e-8)
        assert people[country].sum() == pytest.approx(helpman.PEOPLE / 2)


def test_both_countries_gain_from_fewer_borders():
    made = helpman.experiment(productivity())
    for after in (made.without_outer, made.without_inner):
        assert (after.welfare > made.base.welfare).all()


@pytest.mark.skipif(not PEERS, reason="SPATIALJAX_PEERS does not name the folder of published results")
def test_the_published_gains_are_found(tmp_path, monkeypatch):
    made = helpman.experiment(helpman.read_productivity(PEERS))
    # Twice what each takes: 811, 232 and 131.
    for found, most in zip(made[:3], (1600, 460, 260), strict=True):
        assert int(found.evaluations) < most
    monkeypatch.setattr(helpman, "experiment", lambda *_, **__: made)
    rows = helpman.rows(PEERS)
    assert len(rows) == 4
    assert [row for row in rows if not row.holds] == []
    assert {row.seconds for row in rows} == {max(made.seconds)}
    config = load_config("configs/border_removal.toml", [f"folder={PEERS}/rrh2017"])
    result = run_nested(config, tmp_path)
    assert {path.name for path in result.files} >= {"summary.csv", "summary.tex", "report.html", "run.json"}
    gaps = result.figures["welfare ratio"] - result.figures["published"]
    assert gaps.abs().max() < helpman.DIGITS


def small_files(folder):
    np.savetxt(folder / helpman.FILE, np.zeros(4))
    return folder


def test_files_and_options_that_are_none_are_named(tmp_path):
    with pytest.raises(DataError, match=r"file a\.csv is missing"):
        helpman.run(tmp_path)
    with pytest.raises(DataError, match=r"must hold 900 numbers, log productivities by cell, but holds 4"):
        helpman.run(small_files(tmp_path))
    config = load_config("configs/border_removal.toml", ["options.tariff=2"])
    with pytest.raises(ConfigError, match="options.tariff: helpman has no such option; it has border, tolerance"):
        run_nested(config, tmp_path / "run")
    with pytest.raises(ConfigError, match="model: must be 'helpman', 'nafta' or 'eu-enlargement', found 'hotelling'"):
        load_config("configs/border_removal.toml", ["model=hotelling"])


def test_a_run_has_a_table_and_a_report(tmp_path, monkeypatch):
    monkeypatch.setattr(helpman, "SIDE", SMALL)
    np.savetxt(tmp_path / helpman.FILE, productivity())
    config = load_config("configs/border_removal.toml", [f"folder={tmp_path}", "options.border=1.5"])
    result = run_nested(config, tmp_path / "run")
    assert list(result.figures["country"]) == ["west", "east"] * 2
    assert result.figures["published"].isna().all()
    assert (result.figures["welfare ratio"] > 1).all()
    assert "A published model" in (tmp_path / "run" / "report.html").read_text()
