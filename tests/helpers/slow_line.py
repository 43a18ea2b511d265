"""A TCP line that is as slow as one likes, and counts what goes over it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

__all__ = ["Line", "slow_line"]


class Line:
    """Attributes:
    port: where it listens, on this machine only.
    up, down: bytes so far, to the server and from it.
    """

    def __init__(self, target: int, round_trip: float, rate: float | None) -> None:
        self._target, self._delay, self._rate = target, round_trip / 2, rate
        self.port = self.up = self.down = 0
        self._ready, self._loop = threading.Event(), asyncio.new_event_loop()

    def run(self) -> None:
        self._loop.run_until_complete(self._serve())

    def wait(self) -> None:
        assert self._ready.wait(10)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)

    async def _serve(self) -> None:
        self._over = asyncio.Event()
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._over.wait()
        server.close()
        going = asyncio.all_tasks() - {asyncio.current_task()}
        for task in going:
            task.cancel()
        await asyncio.gather(*going, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.CancelledError):  # it ends when the line does
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
            await asyncio.gather(self._carry(reader, back, "up"), self._carry(there, writer, "down"))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: str) -> None:
        """Every piece arrives after the delay, and not before those ahead of it went through."""
        pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def deliver() -> None:
            while True:
                due, piece = await pieces.get()
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                if not piece:
                    writer.close()
                    return
                writer.write(piece)
                with suppress(OSError):
                    await writer.drain()

        delivering, free = asyncio.create_task(deliver()), 0.0
        while True:
            try:
                piece = await reader.read(16384)
            except OSError:
                piece = b""
            setattr(self, way, getattr(self, way) + len(piece))
            free = max(free, time.monotonic()) + (8 * len(piece) / self._rate if self._rate else 0.0)
            await pieces.put((free + self._delay, piece))
            if not piece:
                break
        await delivering


@contextmanager
def slow_line(target: int, round_trip: float = 0.0, rate: float | None = None) -> Iterator[Line]:
    """A line to a port of this machine.

    Args:
        round_trip: seconds.
        rate: bits per second, each way; as fast as it goes when left out.
    """
    line = Line(target, round_trip, rate)
    thread = threading.Thread(target=line.run, daemon=True)
    thread.start()
    line.wait()
    try:
        yield line
    finally:
        line.stop()
        thread.join(5)
