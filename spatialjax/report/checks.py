"""Diagnostics of `run.json` as checks that a reader understands."""

from collections.abc import Iterator, Mapping
from typing import Any

from spatialjax.report.content import Check, Verdict

Diagnostics = Mapping[str, Any]
EQUILIBRIUM, FIRST_ORDER, DATA = 1e-8, 1e-6, 1e-6
"""What is good: log excess of an equilibrium, residual of first-order conditions, log excess at the data."""


def checks_of(diagnostics: Diagnostics) -> list[Check]:
    """All that a run's record says about how far its results can be trusted, failures first."""
    found = [check for group in GROUPS for check in group(diagnostics)]
    return sorted(found, key=lambda check: check.verdict != "attention")


def _verdict(good: bool) -> Verdict:
    return "good" if good else "attention"


def _data(record: Diagnostics) -> Iterator[Check]:
    blocks = record.get("data_are_an_equilibrium")
    if isinstance(blocks, Mapping):
        largest = max(blocks.values())
        name = "The data are an equilibrium of the inverted economy"
        yield Check(name, f"largest log excess demand {largest:.1e}", _verdict(largest < DATA))
    for sector in record.get("mended_sectors", ()):
        change = f"{sector['value_added_share_in_data']:.4f} to {sector['value_added_share']:.4f}"
        found = f"lowered from {change}, so that its consumption is not negative"
        yield Check(f"Value-added share of {sector['sector']}", found)


def _equilibria(record: Diagnostics) -> Iterator[Check]:
    for name, solved in record.get("equilibria_solved", {}).items():
        largest = solved["largest_log_excess"]
        found = f"largest log excess demand {largest:.1e} after {solved['evaluations']} evaluations"
        yield Check(f"Equilibrium: {_plain(name)}", found, _verdict(largest < EQUILIBRIUM))


def _optima(record: Diagnostics) -> Iterator[Check]:
    for name, one in record.get("optima", {}).items():
        yield Check(f"Optimum: {_plain(name)}", _described(one), _verdict(_certified(one)))
    for name, one in record.get("policies", {}).items():
        yield Check(f"Policy: {_plain(name)}", _described(one))


def _certified(one: Mapping[str, Any]) -> bool:
    certificate = one.get("certificate")
    if certificate is None:
        return False
    return certificate["residual"] < FIRST_ORDER and max(certificate["curvature"]) < 0


def _described(one: Mapping[str, Any]) -> str:
    if (certificate := one.get("certificate")) is None:
        return str(one["outcome"])
    signs = "negative" if max(certificate["curvature"]) < 0 else "not negative"
    residual = f"first-order conditions to {certificate['residual']:.1e}"
    return f"{one['outcome']} ({residual}; curvature {signs} along {len(certificate['curvature'])} directions)"


def _stability(record: Diagnostics) -> Iterator[Check]:
    if (report := record.get("stability")) is not None:
        leading = report["eigenvalues_of_reduced_map"][0][0]
        yield Check("Stability of the equilibrium", f"leading eigenvalue {leading:.3f}", _verdict(report["stable"]))
    if (search := record.get("equilibria")) is not None:
        starts = len(search["outcome_of_start"])
        found = f"{search['distinct']} distinct equilibria from {starts} starts"
        yield Check("Search for other equilibria", found, _verdict(search["distinct"] == 1))


def _granular(record: Diagnostics) -> Iterator[Check]:
    for conduct in ("competitive", "cournot"):
        if (one := record.get(conduct)) is None:
            continue
        gap = one["data_are_an_equilibrium"]
        yield Check(f"The data are an equilibrium, {conduct}", f"largest relative gap {gap:.1e}", _verdict(gap < DATA))
        found = f"leading eigenvalue {one['leading_eigenvalue']:.3f}"
        yield Check(f"Stability, {conduct}", found, _verdict(one["stable"]))
        if (residual := one.get("certificate_residual")) is not None:
            found = f"largest gradient in a subsidy {residual:.1e}"
            yield Check(f"Optimal policy, {conduct}", found, _verdict(residual < FIRST_ORDER))
        else:
            yield Check(f"Optimal policy, {conduct}", "none was found", "attention")


def _tables(record: Diagnostics) -> Iterator[Check]:
    for name, reason in record.get("tables_left_out", {}).items():
        yield Check(f"Table left out: {_plain(name)}", reason, "attention")
    if read_back := record.get("tables_read_back"):
        yield Check("Tables read back", f"{len(read_back)} are those of an earlier, interrupted or equal run")


def _scenarios(record: Diagnostics) -> Iterator[Check]:
    if (counts := record.get("scenarios")) is not None:
        found = ", ".join(f"{count} {status}" for status, count in counts.items())
        yield Check("Scenarios", found, _verdict(set(counts) <= {"solved"}))


def _parts(record: Diagnostics) -> Iterator[Check]:
    for name, standing in record.get("parts", {}).items():
        found = "; ".join(standing["attention"]) or "all checks of this run are good"
        where = f" ({standing['report']})" if standing["report"] else ""
        yield Check(f"Run: {_plain(name)}", f"{found}{where}", _verdict(not standing["attention"]))


def _precision(record: Diagnostics) -> Iterator[Check]:
    if (precision := record.get("precision")) is not None:
        yield Check("Precision", precision, _verdict(precision == "float64"))


def _plain(name: str) -> str:
    return name.replace("_", " ")


GROUPS = (_data, _equilibria, _optima, _stability, _granular, _scenarios, _tables, _parts, _precision)
