"""Search of a task: the search options that a config has by default, where the task decides."""

from collections.abc import Mapping

NO_REPEAT_NGRAM = {"translate": 0, "summarize": 3}
"""For each task `search.no_repeat_ngram`: summaries of recurrent networks repeat themselves (Paulus
et al. 2018, who forbid a trigram to occur twice), while a translation repeats what its source
does."""


def with_search_of(task: str, search: Mapping[str, object]) -> dict[str, object]:
    """Fill the section `search` with the defaults of the task."""
    return {"no_repeat_ngram": NO_REPEAT_NGRAM[task], **search}
