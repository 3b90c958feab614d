"""Model registry: holds the models being served, selects one for a request and reloads them.

It is used only on the event loop; loading, warming up and stopping models happen in threads.
"""

import asyncio
import datetime
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from threading import Thread
from typing import TypeVar

from model.decoding.freed_memory import release_unused
from model.errors import DragomanError
from model.text.languages import UNKNOWN, languages_agree
from model.text.profile import TRANSDUCE
from service.engine.sequence_worker import SequenceWorker
from service.engine.worker import Worker
from service.errors import AmbiguousModel, NoSuchModel, ShuttingDown
from service.observability.metrics import Metrics
from service.observability.request_record import FAILED, OK
from service.registry.models_file import ModelEntry

log = logging.getLogger(__name__)

T = TypeVar("T")


AnyWorker = Worker | SequenceWorker
Builder = Callable[[ModelEntry, Metrics], AnyWorker]
"""Loads the model of an entry; raises a DragomanError if it is invalid."""


@dataclass(eq=False, slots=True)
class ServedModel:
    """A model and the number of requests that use it."""

    entry: ModelEntry
    worker: AnyWorker
    loaded_at: datetime.datetime
    uses: int = 0
    retired: asyncio.Event | None = None
    """Set when a model that has been replaced is no longer used by any request."""


class ModelRegistry:
    """The models being served.

    After `drain`, every request is refused with `ShuttingDown`.
    """

    def __init__(
        self, read: Callable[[], Sequence[ModelEntry]], build: Builder, drain_s: float
    ) -> None:
        """Load all models; `start` warms them up.

        Args:
            read: returns the entries of the models to serve; called again by `reload_all`.
            build: loads the model of an entry.
            drain_s: how long the requests of a model that has been replaced may take.

        Raises:
            DragomanError: `read` raised it, or a model is invalid.
        """
        self._read, self._build, self._drain_s = read, build, drain_s
        self.metrics = Metrics()
        """The metrics of the whole application, updated by the models and the HTTP layer."""
        self._served = {entry.name: _served(entry, build(entry, self.metrics)) for entry in read()}
        self._lock = asyncio.Lock()  # one reload at a time: each holds two models in memory
        self._retiring: set[asyncio.Task[None]] = set()
        self.draining = False
        self._stopped = False

    @property
    def served(self) -> list[ServedModel]:
        """The models, in the order of the models file."""
        return list(self._served.values())

    @property
    def reloading(self) -> bool:
        """Whether a model is being loaded."""
        return self._lock.locked()

    async def start(self) -> None:
        """Warm up all models."""
        for served in self.served:
            await in_thread(served.worker.start)

    def drain(self) -> None:
        """Refuse all requests from now on."""
        self.draining = True

    async def stop(self, drain_s: float) -> None:
        """Stop all models, including those being retired. A second call does nothing."""
        self.draining = True
        if self._stopped:
            return
        self._stopped = True
        for task in self._retiring:
            task.cancel()
        stops = [in_thread(partial(served.worker.stop, drain_s)) for served in self.served]
        await asyncio.gather(*stops, *self._retiring, return_exceptions=True)

    def choose(
        self,
        task: str | None,
        name: str | None = None,
        source: str = UNKNOWN,
        target: str = UNKNOWN,
    ) -> Worker:
        """Select the worker for a request about text. To give it work, call `use` instead.

        A model without languages matches any. Of several models for the same languages, the first
        in the file is selected. Without a `task`, as for scoring, models of any task match.

        Args:
            source, target: tags of the languages, `UNKNOWN` to match any.

        Raises:
            NoSuchModel: no model matches.
            AmbiguousModel: several models match, for different languages.
            ShuttingDown: the server refuses new requests.
        """
        worker = self._choose(Worker, task, name, source, target).worker
        assert isinstance(worker, Worker)
        return worker

    @contextmanager
    def use(
        self,
        task: str | None,
        name: str | None = None,
        source: str = UNKNOWN,
        target: str = UNKNOWN,
    ) -> Iterator[Worker]:
        """Select a worker like `choose`; a reload does not stop it before the `with` ends."""
        with self._using(self._choose(Worker, task, name, source, target)) as worker:
            assert isinstance(worker, Worker)
            yield worker

    @contextmanager
    def use_sequences(self, name: str | None = None) -> Iterator[SequenceWorker]:
        """Select the worker for a request about symbols or vectors, as `use` does for text."""
        found = self._choose(SequenceWorker, TRANSDUCE, name, UNKNOWN, UNKNOWN)
        with self._using(found) as worker:
            assert isinstance(worker, SequenceWorker)
            yield worker

    @contextmanager
    def _using(self, served: ServedModel) -> Iterator[AnyWorker]:
        served.uses += 1
        try:
            yield served.worker
        finally:
            served.uses -= 1
            if served.retired and not served.uses:
                served.retired.set()

    def _choose(
        self,
        kind: type[AnyWorker],
        task: str | None,
        name: str | None,
        source: str,
        target: str,
    ) -> ServedModel:
        if self.draining:
            raise ShuttingDown
        found = [
            served
            for served in self._served.values()
            if isinstance(served.worker, kind)
            and task in (None, served.worker.profile.task)
            and name in (None, served.entry.name)
            and languages_agree(source, served.worker.profile.source_language)
            and languages_agree(target, served.worker.profile.target_language)
        ]
        if not found:
            raise NoSuchModel(self._none_found(task, name))
        if source and target:
            # Prefer a model that names the languages to one that accepts any, and an exact match
            # of the region to another region.
            return min(
                found,
                key=lambda served: (
                    _pair(served).count(UNKNOWN),
                    sum(a != b for a, b in zip(_pair(served), (source, target), strict=True)),
                ),
            )
        if len({(served.worker.profile.describe(), *_pair(served)) for served in found}) > 1:
            raise _ambiguous(task)
        return found[0]

    def _none_found(self, task: str | None, name: str | None) -> str:
        """Say what is not there: a model of that name, or one for what is asked of it."""
        names = [served.entry.name for served in self.served]
        if name is not None and name not in names:
            return f"No model has this name. There are: {_few(names)}. GET /v1/models tells more."
        what = f"can {task} between these languages" if task else "is for text"
        if task == TRANSDUCE:
            what = "reads or writes symbols or vectors"
        which = "here" if name is None else "of this name"
        more = "GET /v1/models tells more."
        tasks = {served.worker.profile.task for served in self.served}
        if task != TRANSDUCE and TRANSDUCE in tasks:
            more = "Those that transduce have POST /v1/transduce. " + more
        return f"No model {which} {what}. There are: {self._offered()}. {more}"

    def _offered(self) -> str:
        """Describe the tasks and languages that are served, for an error message."""
        return _few(served.worker.profile.describe() for served in self.served)

    async def reload(self, name: str) -> None:
        """Reload the model of this name; the old one is replaced once the new one is warm.

        Raises:
            NoSuchModel: there is no such model.
            DragomanError: the new model or the models file is invalid; the old one stays in use.
        """
        async with self._lock:
            entries = {entry.name: entry for entry in await in_thread(self._read)}
            if name not in entries:
                raise NoSuchModel("There is no model of this name. GET /v1/models lists them.")
            await self._replace(entries[name])

    async def reload_all(self) -> None:
        """Reload every model, add new ones and retire those that are no longer listed.

        An error is logged, and leaves the model that it concerns unchanged.
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
        def warm() -> AnyWorker:
            worker = self._build(entry, self.metrics)
            worker.start()
            return worker

        try:
            worker = await in_thread(warm)
        except Exception:
            self.metrics.reloads.labels(entry.name, FAILED).inc()
            raise
        if self.draining:  # the shutdown began meanwhile
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
        """Let `old` finish its requests in the background, then stop it."""
        task = asyncio.get_running_loop().create_task(self._drain_retired(old))
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    async def _drain_retired(self, old: ServedModel) -> None:
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
    """Run `work` in a new daemon thread and return its result.

    The pool of `asyncio.to_thread` is left to requests, which loading a model would delay.
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


def _few(names: Iterable[str]) -> str:
    """The first five different ones, with dots if there are more."""
    known = list(dict.fromkeys(names))
    return "; ".join(known[:5]) + ("; ..." if len(known) > 5 else "")


def _ambiguous(task: str | None) -> AmbiguousModel:
    if task is None:
        return AmbiguousModel(
            "Several models, of different tasks or languages, could answer. Say which with "
            "`model`, or with `task`; GET /v1/models lists them."
        )
    if task == TRANSDUCE:
        return AmbiguousModel(
            "Several models read or write different things. Say which with `model`; GET /v1/models "
            "lists them."
        )
    return AmbiguousModel(
        f"Several models {task}, between different languages. Say which with `model`, or with "
        "`source` and `target`; GET /v1/models lists them."
    )


def _served(entry: ModelEntry, worker: AnyWorker) -> ServedModel:
    return ServedModel(entry, worker, datetime.datetime.now(datetime.UTC))


def _pair(served: ServedModel) -> tuple[str, str]:
    profile = served.worker.profile
    return profile.source_language, profile.target_language
