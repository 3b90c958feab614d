"""Spark engine: has the parts of a folder translated by mapInPandas.

Only this file knows Spark, which the extra `spark` installs.
"""

import os
import sys
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from model.errors import ConfigError, DataError, first_line
from model.jobs.folder import FolderPart
from model.jobs.part_writer import PART, PartWriter

if TYPE_CHECKING:
    from pandas import DataFrame
    from pyspark.sql import DataFrame as SparkFrame
    from pyspark.sql import SparkSession

_LOOK_S = 1.0
_TRIES = 4
"""Of a task, on Spark's own machine: as Spark has it on a cluster."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SparkEngine:
    """An `Engine` of `model.jobs.folder_job`."""

    address: str | None
    """The master, such as spark://head:7077. None is what spark-submit has set, or else this
    machine."""
    workers: int | None
    """Tasks at once on this machine, None for as many as it has room for; a cluster has executors
    of its own."""
    threads: int
    """Cores of a task."""

    def __post_init__(self) -> None:
        try:
            import pandas  # noqa: F401
            import pyspark.sql  # noqa: F401
        except ImportError:
            raise ConfigError(
                "--engine spark: Spark is not installed. Install the extra spark: "
                "pip install 'dragoman[spark]'."
            ) from None

    def __call__(
        self, writer: PartWriter, parts: Sequence[FolderPart]
    ) -> Generator[dict[str, int | str], None, None]:
        """Have `writer` called with each part; yields what it returned.

        A task that is lost is done again, up to as many times as Spark is told.

        Raises:
            ConfigError: there is no Java, or no such master.
        """
        session = self._session()
        try:
            context = session.sparkContext
            rows = context.parallelize([(part.to_json(),) for part in parts], len(parts))
            frame = session.createDataFrame(rows, f"{PART} string")
            reports = frame.mapInPandas(
                partial(_frames, writer), "number long, rows long, error string"
            )
            with closing(_collected(reports, writer, parts)) as told:
                yield from told
        finally:
            session.stop()

    def _session(self) -> "SparkSession":
        from py4j.protocol import Py4JError
        from pyspark import SparkConf
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession

        # Executors on this machine run what this process runs, whatever is called python3 here.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        cores = self.workers * self.threads if self.workers else os.cpu_count() or 1
        try:
            conf = SparkConf()
            if self.address:
                conf.setMaster(self.address)
            elif not conf.contains("spark.master"):
                conf.setMaster(f"local[{max(cores, self.threads)},{_TRIES}]")
                conf.set("spark.ui.enabled", "false")
            conf.set("spark.task.cpus", str(self.threads))
            conf.set("spark.ui.showConsoleProgress", "false")
            session = SparkSession.builder.appName("dragoman").config(conf=conf).getOrCreate()
        except (PySparkException, Py4JError) as error:
            raise ConfigError(
                f"--engine spark: Spark does not start ({first_line(error)}). It needs Java 17 or "
                "newer, and with --address a master that answers."
            ) from error
        session.sparkContext.setLogLevel("ERROR")
        return session


def _frames(writer: PartWriter, frames: Iterable["DataFrame"]) -> Iterator["DataFrame"]:
    """What mapInPandas calls in a task: a row for each part, in and out."""
    from pandas import DataFrame

    for frame in frames:
        yield DataFrame([writer({PART: part}) for part in frame[PART]])


def _collected(
    reports: "SparkFrame", writer: PartWriter, parts: Sequence[FolderPart]
) -> Generator[dict[str, int | str], None, None]:
    """Run the job, and tell of each part as soon as its file is there.

    Spark gives rows only when all are done, or those of one task after the other.
    """
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    waiting = {writer.path(part).name: part for part in parts}
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(reports.collect)
        try:
            while not wait([job], _LOOK_S).done:
                for name in waiting.keys() & set(os.listdir(writer.folder)):
                    part = waiting.pop(name)
                    yield {"number": part.number, "rows": len(part), "error": ""}
            yield from (row.asDict() for row in job.result())
        except (PySparkException, Py4JError) as error:
            raise DataError(
                f"Spark gave up ({first_line(error)}). Its own log says more; --resume goes on."
            ) from error
        finally:
            if not job.done():
                reports.sparkSession.sparkContext.cancelAllJobs()
