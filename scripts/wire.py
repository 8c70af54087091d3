"""Count what a server sends, as it goes over the wire: compressed, with all headers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from urllib.parse import urlsplit


class Wire:
    """A relay on a port of its own between browsers and a server.

    Parameters
    ----------
    port
        Of the server, on this machine.
    """

    def __init__(self, port: int) -> None:
        self.n_bytes = 0
        """What the server has sent so far."""
        self.address = ""
        self._port = port
        self._is_listening, self._is_over = Event(), asyncio.Event()

    async def serve(self) -> None:
        relay = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.address = f"http://127.0.0.1:{relay.sockets[0].getsockname()[1]}"
        self._loop = asyncio.get_running_loop()
        self._is_listening.set()
        await self._is_over.wait()

    def wait_until_listening(self) -> None:
        self._is_listening.wait()

    def end(self) -> None:
        self._loop.call_soon_threadsafe(self._is_over.set)

    async def _connect(
        self, browser: asyncio.StreamReader, to_browser: asyncio.StreamWriter
    ) -> None:
        server, to_server = await asyncio.open_connection("127.0.0.1", self._port)
        await asyncio.gather(
            self._pass_on(browser, to_server), self._pass_on(server, to_browser, counts=True)
        )

    async def _pass_on(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, counts: bool = False
    ) -> None:
        try:
            while data := await source.read(65536):
                self.n_bytes += len(data) if counts else 0
                sink.write(data)
                await sink.drain()
        except ConnectionError:
            pass  # a browser that is closed does not say so first
        finally:
            sink.close()


@contextmanager
def counted(address: str) -> Iterator[Wire]:
    """Yield a relay to the server at an address of this machine."""
    wire = Wire(urlsplit(address).port or 80)
    thread = Thread(target=lambda: asyncio.run(wire.serve()), daemon=True)  # ends all connections
    thread.start()
    wire.wait_until_listening()
    try:
        yield wire
    finally:
        wire.end()
        thread.join()
