"""Figures of results: functions take labelled data sets, return matplotlib figures, and never solve."""

from spatialjax.plots.figures import share_against_premium, wedge_difference
from spatialjax.plots.maps import city_map
from spatialjax.plots.style import save_figure

__all__ = ["city_map", "save_figure", "share_against_premium", "wedge_difference"]
