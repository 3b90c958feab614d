"""Model registry: the models being served, which of them a request means, how one is renewed.

All of it is the event loop's; only loading, warming and stopping happen in threads.
"""

import asyncio
import datetime
import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from threading import Thread
from typing import TypeVar

from model.decoding.freed_memory import release_unused
from model.errors import DragomanError
from model.text.languages import UNKNOWN, languages_agree
from service.engine.worker import Worker
from service.errors import AmbiguousModel, NoSuchModel, ShuttingDown
from service.observability.metrics import Metrics
from service.observability.request_record import FAILED, OK
from service.registry.models_file import ModelEntry

log = logging.getLogger(__name__)

T = TypeVar("T")

Builder = Callable[[ModelEntry, Metrics], Worker]
"""Loads the model of an entry; raises a DragomanError if it is no good."""


@dataclass(eq=False, slots=True)
class ServedModel:
    """A model, and the requests that it has been chosen for."""

    entry: ModelEntry
    worker: Worker
    loaded_at: datetime.datetime
    uses: int = 0
    retired: asyncio.Event | None = None
    """Set when a model that has been replaced has no use left."""


class ModelRegistry:
    """The models being served.

    Between `drain` and the end every request is refused with `ShuttingDown`.
    """

    def __init__(
        self, read: Callable[[], Sequence[ModelEntry]], build: Builder, drain_s: float
    ) -> None:
        """Load all models; `start` warms them.

        Args:
            read: what is to be served; called again by every reload.
            drain_s: how long the requests of a model that has been replaced may take.

        Raises:
            DragomanError: from `read`, or a model is no good.
        """
        self._read, self._build, self._drain_s = read, build, drain_s
        self.metrics = Metrics()
        """Of the whole application: the models write here, and whoever serves them."""
        self._served = {entry.name: _served(entry, build(entry, self.metrics)) for entry in read()}
        self._lock = asyncio.Lock()  # one reload at a time: each holds two models in memory
        self._leaving: set[asyncio.Task[None]] = set()
        self.draining = False
        self._stopped = False

    @property
    def served(self) -> list[ServedModel]:
        """The models, in the order of their file."""
        return list(self._served.values())

    @property
    def reloading(self) -> bool:
        """Whether a model is being loaded."""
        return self._lock.locked()

    async def start(self) -> None:
        """Warm all models."""
        for served in self.served:
            await in_thread(served.worker.start)

    def drain(self) -> None:
        """From now on refuse every request."""
        self.draining = True

    async def stop(self, drain_s: float) -> None:
        """Stop all models, those that are about to leave as well. A second call does nothing."""
        self.draining = True
        if self._stopped:
            return
        self._stopped = True
        for task in self._leaving:
            task.cancel()
        stops = [in_thread(partial(served.worker.stop, drain_s)) for served in self.served]
        await asyncio.gather(*stops, *self._leaving, return_exceptions=True)

    def choose(
        self,
        task: str | None,
        name: str | None = None,
        source: str = UNKNOWN,
        target: str = UNKNOWN,
    ) -> Worker:
        """The worker for a request. Whoever gives it work uses `use` instead.

        A model that names no languages is taken for any. Of several models for the same languages
        the first in the file is taken. Without a task any will do, as for scoring.

        Args:
            source, target: tags of the languages, `UNKNOWN` where any will do.

        Raises:
            NoSuchModel: there is none.
            AmbiguousModel: there are several, for different languages.
            ShuttingDown: the server takes no more requests.
        """
        return self._choose(task, name, source, target).worker

    @contextmanager
    def use(
        self,
        task: str | None,
        name: str | None = None,
        source: str = UNKNOWN,
        target: str = UNKNOWN,
    ) -> Iterator[Worker]:
        """The worker that `choose` finds, which a reload does not stop before the `with` ends."""
        served = self._choose(task, name, source, target)
        served.uses += 1
        try:
            yield served.worker
        finally:
            served.uses -= 1
            if served.retired and not served.uses:
                served.retired.set()

    def _choose(self, task: str | None, name: str | None, source: str, target: str) -> ServedModel:
        if self.draining:
            raise ShuttingDown
        found = [
            served
            for served in self._served.values()
            if task in (None, served.worker.profile.task)
            and name in (None, served.entry.name)
            and languages_agree(source, served.worker.profile.source_language)
            and languages_agree(target, served.worker.profile.target_language)
        ]
        if not found:
            raise NoSuchModel(
                f"No model that fits can {task or 'score'} between these languages. There are: "
                f"{self._offered()}. GET /v1/models tells more."
            )
        if source and target:
            # A model that names the languages knows them better than one that takes any, and one
            # for the very region better than one for another.
            return min(
                found,
                key=lambda served: (
                    _pair(served).count(UNKNOWN),
                    sum(a != b for a, b in zip(_pair(served), (source, target), strict=True)),
                ),
            )
        if len({(served.worker.profile.task, *_pair(served)) for served in found}) > 1:
            raise _ambiguous(task)
        return found[0]

    def _offered(self) -> str:
        """What the models do, for the message to somebody who asked for something else."""
        known = dict.fromkeys(served.worker.profile.describe() for served in self.served)
        return "; ".join(list(known)[:5]) + ("; ..." if len(known) > 5 else "")

    async def reload(self, name: str) -> None:
        """Load the model of this name again, and replace the old one once the new one is warm.

        Raises:
            NoSuchModel: there is none.
            DragomanError: the new one is no good, or the models file; the old one goes on.
        """
        async with self._lock:
            entries = {entry.name: entry for entry in await in_thread(self._read)}
            if name not in entries:
                raise NoSuchModel("There is no model of this name. GET /v1/models lists them.")
            await self._replace(entries[name])

    async def reload_all(self) -> None:
        """Load every model again, add those that are new, let go of those no longer listed.

        What goes wrong is logged, and leaves the model that it concerns as it was.
        """
        async with self._lock:
            try:
                entries = await in_thread(self._read)
            except DragomanError as error:
                log.error("nothing reloaded: %s", error)
                return
            for entry in entries:
                try:
                    await self._replace(entry)
                except DragomanError as error:
                    log.error("model %s not reloaded: %s", entry.name, error)
                except Exception:
                    log.exception("model %s not reloaded", entry.name)
            names = [entry.name for entry in entries]
            for name in self._served.keys() - names:
                self._retire(self._served.pop(name))
                log.info("model %s is no longer served", name)
            self._served = {n: self._served[n] for n in names if n in self._served}

    async def _replace(self, entry: ModelEntry) -> None:
        def warm() -> Worker:
            worker = self._build(entry, self.metrics)
            worker.start()
            return worker

        try:
            worker = await in_thread(warm)
        except Exception:
            self.metrics.reloads.labels(entry.name, FAILED).inc()
            raise
        if self.draining:  # the end came in between
            await in_thread(partial(worker.stop, 0))
            raise ShuttingDown
        new = _served(entry, worker)
        old = self._served.get(entry.name)
        self._served[entry.name] = new
        if old:
            self._retire(old)
        self.metrics.reloads.labels(entry.name, OK).inc()
        log.info("model %s is served from %s", entry.name, new.worker.digest)

    def _retire(self, old: ServedModel) -> None:
        """Let `old` finish what it was chosen for, in the background."""
        task = asyncio.get_running_loop().create_task(self._leave(old))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def _leave(self, old: ServedModel) -> None:
        try:
            if old.uses:
                old.retired = asyncio.Event()
                await asyncio.wait_for(old.retired.wait(), self._drain_s)
        except TimeoutError:
            log.warning("model %s: %d requests took too long", old.entry.name, old.uses)
        finally:
            await in_thread(partial(old.worker.stop, 0 if old.uses else self._drain_s))
        del old  # the last reference
        await in_thread(release_unused)


async def in_thread(work: Callable[[], T]) -> T:
    """The result of `work` in a thread of its own, which does not keep the process alive.

    The pool of `asyncio.to_thread` is for requests: loading would hold them up.
    """
    # No frame that an error passes through has the future in a variable: the future has the error,
    # the error its frames, and so the model that could not be loaded would stay in memory.
    return await asyncio.wrap_future(_started(work))


def _started(work: Callable[[], T]) -> Future[T]:
    future: Future[T] = Future()
    Thread(target=_settle, args=(future, work), name="model registry", daemon=True).start()
    return future


def _settle(future: Future[T], work: Callable[[], T]) -> None:
    if future.set_running_or_notify_cancel():
        try:
            result = work()
        except BaseException as error:
            future.set_exception(error)
            del future  # see `in_thread`
        else:
            future.set_result(result)


def _ambiguous(task: str | None) -> AmbiguousModel:
    if task is None:
        return AmbiguousModel(
            "Several models, of different tasks or languages, can score. Say which with `model`, "
            "or with `task`; GET /v1/models lists them."
        )
    return AmbiguousModel(
        f"Several models {task}, between different languages. Say which with `model`, or with "
        "`source` and `target`; GET /v1/models lists them."
    )


def _served(entry: ModelEntry, worker: Worker) -> ServedModel:
    return ServedModel(entry, worker, datetime.datetime.now(datetime.UTC))


def _pair(served: ServedModel) -> tuple[str, str]:
    profile = served.worker.profile
    return profile.source_language, profile.target_language
