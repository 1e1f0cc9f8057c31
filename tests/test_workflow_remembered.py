"""Tables that a run remembers."""

import pandas as pd
import pytest

from spatialjax.workflow.remembered import RememberedTables
from spatialjax.workflow.schema import OutputSection, Section


class Configuration(Section):
    size: int = 1
    output: OutputSection = OutputSection(folder="somewhere")


FRAME = pd.DataFrame({"name": ["a", "b"], "value": [0.1, 1 / 3]})


def test_a_table_is_computed_once(tmp_path):
    calls = []

    def compute():
        calls.append(1)
        return FRAME

    first = RememberedTables(tmp_path, Configuration()).table("premium", compute)
    again = RememberedTables(tmp_path, Configuration(output=OutputSection(folder="elsewhere")))
    assert again.known("premium")
    assert not again.known("exits")
    pd.testing.assert_frame_equal(again.table("premium", compute), first)
    pd.testing.assert_frame_equal(first, FRAME, rtol=1e-9)
    assert calls == [1]
    assert again.reused == ["premium"]
    assert again.paths == [tmp_path / "premium.csv", tmp_path / "premium.tex"]


def test_another_configuration_begins_anew(tmp_path):
    RememberedTables(tmp_path, Configuration()).table("premium", lambda: FRAME)
    assert not RememberedTables(tmp_path, Configuration(size=2)).known("premium")


def test_a_table_that_fails_leaves_the_others(tmp_path):
    tables = RememberedTables(tmp_path, Configuration())
    tables.table("premium", lambda: FRAME)

    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tables.table("exits", interrupted)
    assert sorted(path.name for path in tmp_path.glob("*.csv")) == ["premium.csv"]
    assert RememberedTables(tmp_path, Configuration()).known("premium")
