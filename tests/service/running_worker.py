"""A worker that is started for a block, and stopped after it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from service.engine.worker import Worker


@asynccontextmanager
async def started(worker: Worker) -> AsyncIterator[Worker]:
    """Start `worker`, outside of the event loop as a server does."""
    await asyncio.to_thread(worker.start)
    try:
        yield worker
    finally:
        await asyncio.to_thread(worker.stop)
