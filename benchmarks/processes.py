"""Functions called in processes of their own, so that peak memory is theirs alone and a crash takes nobody along."""

import multiprocessing
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

PATIENCE = 10.0
"""Seconds that a process may take to end once it has answered."""


class PartError(Exception):
    """Why something could not be measured."""


def in_own_process(function: Callable[..., Any], *arguments: Any, limit: float | None = None) -> Any:
    """Call a function in a fresh process and return what it returns.

    **Raises:** `PartError` where it raises, dies, or takes longer than `limit` seconds.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(sender, function, arguments))
    process.start()
    sender.close()
    try:
        return _await(receiver, process, limit)
    finally:
        receiver.close()
        process.terminate()
        process.join()


def _answer(sender: Connection, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    try:
        answer = (True, function(*arguments))
    except Exception:
        answer = (False, traceback.format_exc())
    sender.send(answer)


def _await(receiver: Connection, process: Any, limit: float | None) -> Any:
    if not receiver.poll(limit):
        raise PartError(f"stopped after {limit:g} s")
    try:
        succeeded, value = receiver.recv()
    except EOFError:
        process.join(PATIENCE)
        raise PartError(_death(process.exitcode)) from None
    process.join(PATIENCE)
    if not succeeded:
        raise PartError(value)
    return value


def _death(exitcode: int | None) -> str:
    if exitcode == -9:
        return "its process was killed (signal 9), as happens where memory runs out"
    return f"its process died with exit code {exitcode}"
