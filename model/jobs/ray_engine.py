"""Ray engine: has the parts of a folder translated by actors of Ray Data.

Only this file knows Ray, which the extra `ray` installs.
"""

import logging
import os
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

from model.errors import ConfigError, first_line
from model.jobs.folder import FolderPart
from model.jobs.part_writer import PART, PartWriter

_SHARE_OF_A_CORE = 0.01
"""By which an actor asks for less than all of its cores: tasks of Ray need some too, and where
actors hold all cores they would wait for ever."""
_BLOCKS = 10_000
"""The most units that parts are given out in; with more parts than that each is several."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RayEngine:
    """An `Engine` of `model.jobs.folder_job`."""

    address: str | None
    """Of a running cluster, such as auto or ray://head:10001. None is RAY_ADDRESS, or else a
    cluster of this machine alone, for the time of the job."""
    workers: int | None
    """Actors; None stands for as many as there are cores, or GPUs."""
    threads: int
    """Cores of an actor."""
    gpus: float
    """GPUs of an actor."""

    def __post_init__(self) -> None:
        try:
            import ray.data  # noqa: F401
        except ImportError:
            raise ConfigError(
                "--engine ray: Ray is not installed. Install the extra ray: "
                "pip install 'dragoman[ray]'."
            ) from None

    def __call__(
        self, writer: PartWriter, parts: Sequence[FolderPart]
    ) -> Generator[dict[str, int | str], None, None]:
        """Have `writer` called with each part; yields what it returned.

        An actor that is lost, with its machine or alone, is replaced, and its part done again.

        Raises:
            ConfigError: no cluster answers, or it has not what an actor needs.
        """
        import ray
        import ray.data

        self._connect()
        try:
            workers = self._workers(ray.cluster_resources())
            _be_quiet()
            # All begin at once: a pool that grows waits before each. With one it goes on, too.
            most = min(workers, len(parts))
            rows = ray.data.from_items(
                [{PART: part.to_json()} for part in parts],
                override_num_blocks=min(len(parts), _BLOCKS),
            )
            yield from rows.map(
                _Actor,
                fn_constructor_args=(writer,),
                compute=ray.data.ActorPoolStrategy(min_size=1, max_size=most, initial_size=most),
                num_cpus=max(self.threads - _SHARE_OF_A_CORE * self.threads, 0.01),
                num_gpus=self.gpus or None,
            ).iter_rows()
        finally:
            ray.shutdown()

    def _connect(self) -> None:
        import ray

        address = self.address or os.environ.get("RAY_ADDRESS", "local")
        # A dashboard for the time of a job is of no use, and takes longer to start than the rest.
        of_ours = {"include_dashboard": False} if address == "local" else {}
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **of_ours)
        except Exception as error:  # Ray raises many kinds, and for a time-out no more than this
            raise ConfigError(
                f"--engine ray: no cluster at {address} that lets us in ({first_line(error)}). "
                "Start one and give its --address, or leave it out for this machine alone."
            ) from error

    def _workers(self, resources: dict[str, Any]) -> int:
        if self.gpus:
            have, need, what = resources.get("GPU", 0), self.gpus, "GPUs"
        else:
            have, need, what = resources.get("CPU", 0), self.threads, "cores"
        if have < need:
            raise ConfigError(
                f"--engine ray: a worker needs {need:g} {what}, but the cluster has {have:g}. Ask "
                "for less, or give an --address with more."
            )
        return self.workers or int(have // need)


class _Actor:
    """What Ray Data makes in each process: a class, since it keeps functions in none."""

    def __init__(self, writer: PartWriter) -> None:
        self._writer = writer

    def __call__(self, row: dict[str, Any]) -> dict[str, int | str]:
        return self._writer(row)


def _be_quiet() -> None:
    """Leave the telling to our progress; warnings of Ray stay."""
    import ray.data

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
