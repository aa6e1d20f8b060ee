"""Calls of models for requests of either protocol: in threads where they are long, refused in its words."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from tfautolabel.serving.batching import Batching
from tfautolabel.serving.refusals import Refusal, refusal_of
from tfautolabel.serving.servable import Arrays, Servable, Signature

_log = logging.getLogger("tfautolabel.serving")
_Result = TypeVar("_Result")

LARGE = 64 * 1024
"""What has more bytes is read and written in a thread, so that other requests need not wait."""
MAX_ANSWER = 256 * 1024 * 1024
"""Bytes of outputs: their JSON takes several times as many."""


@dataclass
class Asked:
    """The model and the method of a request, for the metrics."""

    model: str = ""
    method: str = "other"


class Calls:
    """Calls models.

    Args:
        batching: runs them.
    """

    def __init__(self, batching: Batching) -> None:
        self._batching = batching
        self._pool = ThreadPoolExecutor(2, "json")

    async def outputs(self, servable: Servable, signature: Signature, arrays: Arrays) -> tuple[Arrays, int]:
        """Runs a signature; returns its outputs and about how many bytes they have.

        Raises:
            Refusal: If the model fails or does not take the values, too many rows wait, or the outputs are
                too large.
        """
        try:
            outputs = await self._batching.run(servable, signature, arrays)
        except Exception as error:
            refusal = refusal_of(error)
            if refusal.status >= 500:
                _log.error(
                    "model failed",
                    extra={"model": servable.name, "version": servable.version, "error": refusal.message},
                )
            raise refusal from error
        # Strings are Python objects: each takes more than its eight bytes in the array.
        size = sum(array.nbytes for array in outputs.values())
        if size > MAX_ANSWER:
            raise Refusal(400, f"an answer may hold at most {MAX_ANSWER} bytes. Received: {size}")
        return outputs, size

    async def apart(self, size: int, work: Callable[[], _Result]) -> _Result:
        """Does what handles so many bytes, in a thread if they are many."""
        if size <= LARGE:
            return work()
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def close(self) -> None:
        """Stops the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._batching.close()


def late_answer(seconds: float) -> Refusal:
    """Returns the refusal of a request that took longer than so many seconds."""
    return Refusal(504, f"Deadline Exceeded: no answer within {seconds:g} seconds")
