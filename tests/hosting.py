"""A small website for a test: served on loopback by a thread of its own, from `start` to `stop`."""

import asyncio
import ssl
import threading
from collections.abc import Coroutine
from typing import Any, Self, TypeVar

from aiohttp import web

T = TypeVar("T")
_SECONDS = 20.0


class LoopThread:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Have it done there; return what comes of it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_SECONDS)

    def close(self) -> None:
        """End the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_SECONDS)
        self._loop.close()


class Hosted:
    """Serves `application`, from `start` to `stop` or within a `with` block; `url` is where."""

    def __init__(self) -> None:
        self.url = ""
        self._thread: LoopThread | None = None
        self._runner: web.AppRunner | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def application(self) -> web.Application:
        """Return what is served."""
        raise NotImplementedError

    def start(self, context: ssl.SSLContext | None = None) -> None:
        """Serve, with TLS when there is a context."""
        self._thread = LoopThread()
        self._thread.run(self._serve(context))

    def stop(self) -> None:
        """Serve no longer."""
        assert self._thread is not None
        if self._runner is not None:
            self._thread.run(self._runner.cleanup())
        self._thread.close()

    async def _serve(self, context: ssl.SSLContext | None) -> None:
        self._runner = web.AppRunner(self.application(), handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        port = await self._listen("127.0.0.1", context)
        self.url = f"https://localhost:{port}" if context else f"http://127.0.0.1:{port}"

    async def _listen(self, host: str, context: ssl.SSLContext | None = None) -> int:
        """Serve on `host` as well; return the port."""
        assert self._runner is not None
        await web.TCPSite(self._runner, host, 0, ssl_context=context).start()
        port: int = self._runner.addresses[-1][1]
        return port
