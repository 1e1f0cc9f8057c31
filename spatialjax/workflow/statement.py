"""A statement of a paper, and whether it holds on the data of a run."""

from collections.abc import Iterable
from dataclasses import dataclass, fields

import pandas as pd


@dataclass(frozen=True)
class Statement:
    """What a paper says, the number that says whether it holds, and whether it does."""

    source: str
    statement: str
    measure: str
    value: float
    holds: bool

    @classmethod
    def of_sign(cls, source: str, statement: str, measure: str, value: float, rises: bool) -> "Statement":
        """One that holds where the number is positive if it says that something `rises`, and negative otherwise.

        A value that is not a number confirms nothing.
        """
        return cls(source, statement, measure, float(value), bool(value > 0 if rises else value < 0))


COLUMNS = [field.name for field in fields(Statement)]


def table_of(statements: Iterable[Statement]) -> pd.DataFrame:
    """One row a statement; the columns are there without any, too."""
    return pd.DataFrame([vars(statement) for statement in statements], columns=COLUMNS)
