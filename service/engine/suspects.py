"""Suspects: finds the request that makes an engine fail, by decoding ever smaller groups alone.

The requests that were in a failed engine are retried by bisection: half of them at a time, and a
half that fails is halved again. Only a request that fails by itself is given up.
"""

from service.engine.sequence_job import EngineJob

Group = dict[EngineJob, list[int]]
"""Sentences: indices of requests, by job."""


class Suspects:
    """The requests to retry after a failure, until each has been tried."""

    def __init__(self, max_rows: int) -> None:
        """`max_rows`: the limit of hypotheses in flight when the engine first failed."""
        self.rows_before = max_rows
        self._groups: list[Group] = []  # a stack
        self._retrying = False  # whether a group of them is in the engine

    def next_group(self) -> Group | None:
        """Remove and return the group to retry next; None if there is none."""
        self._retrying = bool(self._groups)
        return self._groups.pop() if self._groups else None

    def discard(self, job: EngineJob) -> None:
        """Forget a job that needs no answer any more."""
        for group in self._groups:
            group.pop(job, None)

    def failed(self, group: Group) -> EngineJob | None:
        """Take over what was in an engine that failed.

        Returns:
            The job that was retried alone and is to be given up; None if there are others to retry.
        """
        if len(group) == 1 and self._retrying:
            return next(iter(group))
        self._retrying = False
        jobs = list(group)
        half = len(jobs) // 2
        for some in (jobs[half:], jobs[:half]):
            if some:
                self._groups.append({job: group[job] for job in some})
        return None
