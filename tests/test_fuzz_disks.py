"""Disks that are full and processes that are killed leave a file whole, as it was, or not there at all."""

import errno
import os
import resource
import signal
import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from fuzz_cases import fuzz
from hypothesis import strategies as st

from spatialjax.errors import OutputError
from spatialjax.workflow.output import (
    prepare_folder,
    write_config,
    write_dataset,
    write_json,
    write_record,
    write_table,
)
from spatialjax.workflow.schema import RunConfig
from spatialjax.workflow.sweep_folder import SweepFolder, write_durably

NUMBERS = np.random.default_rng(0).random((40, 50))
DATA = xr.Dataset({"x": (("city", "sector"), NUMBERS)}, {"city": [f"city {n}" for n in range(40)]})
TABLE = pd.DataFrame(NUMBERS[:, :4], columns=list("abcd"))
WRITERS = {
    "dataset": lambda folder: write_dataset(folder / "x.nc", DATA),
    "part": lambda folder: write_durably(folder / "part-000001.nc", DATA.to_netcdf),
    "table": lambda folder: write_table(folder / "x.csv", TABLE),
    "json": lambda folder: write_json(folder / "x.json", NUMBERS.tolist()),
    "record": lambda folder: write_record(folder, {"numbers": NUMBERS.tolist()}, DATA, [folder / "x.nc"]),
    "configuration": lambda folder: write_config(folder, RunConfig()),
    "text": lambda folder: write_durably(folder / "x.txt", lambda path: path.write_text("x" * 50_000)),
}
POINTS = ("os.replace", "os.fsync", "tempfile.mkstemp", "pathlib.Path.chmod")
PROBLEMS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EACCES)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@contextmanager
def room_for(bytes_):
    """Let files have so many bytes at most: the system itself refuses what is written behind them."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handled = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handled)


def test_disks(tmp_path_factory):
    """Whatever fails while a file is written, and whenever: an error names it, and what was there is still there."""
    whole = {}
    for name, write in WRITERS.items():
        write(folder := tmp_path_factory.mktemp("whole"))
        whole[name] = contents(folder)
    largest = max(len(content) for files in whole.values() for content in files.values())
    faults = st.one_of(
        st.tuples(st.just("room"), st.integers(0, 2 * largest)),
        st.tuples(st.just("room"), st.integers(0, 2000)),
        st.tuples(st.sampled_from(POINTS), st.sampled_from(PROBLEMS)),
    )

    def check(case):
        name, (point, detail), occupied = case
        folder = tmp_path_factory.mktemp("disk")
        before = dict.fromkeys(whole[name], b"before") if occupied else {}
        for file, content in before.items():
            (folder / file).write_bytes(content)
        refusal = None
        try:
            with room_for(detail) if point == "room" else failing(point, detail):
                WRITERS[name](folder)
        except OutputError as error:
            refusal = str(error)
        assert refusal is None or f"cannot write {folder}" in refusal
        after = contents(folder)
        assert set(after) <= set(whole[name])
        for file in whole[name]:
            assert after.get(file) == before.get(file) or len(after[file]) >= len(whole[name][file]) - 100
            if file.endswith(".nc") and after.get(file) != before.get(file):
                xr.testing.assert_identical(xr.load_dataset(folder / file), DATA)
        return "written" if refusal is None else "refused"

    endings = fuzz("disks", st.tuples(st.sampled_from(sorted(WRITERS)), faults, st.booleans()), check)
    assert min(endings["refused"], endings["written"]) > 10


@contextmanager
def failing(point, problem):
    def fails(*arguments, **options):
        raise OSError(problem, os.strerror(problem))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(point, fails)
        yield


DRIVER = """
import os, random, signal, sys, time
from pathlib import Path
from spatialjax.files import write

def pieces(content):
    def to(path):
        with open(path, "wb") as file:
            for n in range(50):
                file.write(content * 2000)
                file.flush()
    return to

folder, random_ = Path(sys.argv[1]), random.Random(0)
for kill in range(int(sys.argv[2])):
    child = os.fork()
    if not child:
        for n in range(10**6):
            write(folder / f"file-{n % 3}.bin", pieces(bytes([97 + n % 26])), durable=n % 2 == 0)
    time.sleep(random_.uniform(0, 0.03))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    for path in folder.glob("file-*.bin"):
        content = path.read_bytes()
        assert len(content) == 100_000 and len(set(content)) == 1, (path, len(content))
print(len(list(folder.glob("file-*.bin"))), len(list(folder.glob(".partial-*"))))
"""
KILLS = 60


def test_killed_while_writing(tmp_path):
    """Files are whole after a process that writes them was killed, at sixty moments; what else is left is known."""
    command = [sys.executable, "-c", DRIVER, str(tmp_path), str(KILLS)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr
    files, leftovers = map(int, ended.stdout.split())
    assert files == 3
    assert leftovers > 0
    with SweepFolder(tmp_path) as sweep:
        sweep.begin({}, anew=False)
    assert not list(tmp_path.glob(".partial-*"))
    assert len(list(tmp_path.glob("file-*.bin"))) == 3


def test_folders_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below", tmp_path / ("x" * 300), "/proc/no", "\0"):
        with pytest.raises(OutputError, match="cannot write results to"):
            prepare_folder(folder)
    with room_for(0), pytest.raises(OutputError, match="cannot write"), SweepFolder(tmp_path / "new"):
        pass
