"""Files of numbers that others published with their results, read with errors that name the file."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from spatialjax.errors import DataError


def folder_with(folder: Path | str, name: str, files: Sequence[str]) -> Path:
    """The folder that holds these files: `folder`, or `name` within it.

    **Raises:** `DataError` naming the files that are missing.
    """
    given = Path(folder)
    found = given / name if (given / name).is_dir() else given
    if missing := [file for file in files if not (found / file).is_file()]:
        raise DataError(str(found), [f"file {file} is missing" for file in missing])
    return found


def read_numbers(path: Path, shape: tuple[int, ...], meaning: str) -> np.ndarray:
    """A file of numbers alone, separated by white space, in rows; as an array of this shape.

    **Raises:** `DataError` where it holds something else, or another number of numbers.
    """
    try:
        numbers = np.loadtxt(path, ndmin=1)
    except ValueError as error:
        raise DataError(path.name, [f"must hold numbers alone, {meaning}: {error}"]) from error
    if numbers.size != np.prod(shape):
        raise DataError(path.name, [f"must hold {np.prod(shape)} numbers, {meaning}, but holds {numbers.size}"])
    return numbers.reshape(shape)


def read_table(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """A CSV file with at least these columns.

    **Raises:** `DataError` where it is none, or lacks a column.
    """
    try:
        table = pd.read_csv(path)
    except (ValueError, UnicodeDecodeError) as error:
        raise DataError(path.name, [f"is not a table that can be read: {error}"]) from error
    if missing := [column for column in columns if column not in table]:
        raise DataError(path.name, [f"column {column} is missing" for column in missing])
    return table
