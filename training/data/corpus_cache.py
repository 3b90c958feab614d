"""Corpus cache: the first process that needs a corpus builds it, and others find it by its key.

A folder appears under its name when it is complete. A lock file next to it is held while it is
built: the kernel frees the lock of a process that is killed, and the next build removes what
that process left behind.
"""

import errno
import fcntl
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

from model.config import to_dict
from model.errors import DataError
from model.text.tokenizer import SPACE_MARK
from model.text.vocabulary import Vocabulary
from training.config.data_config import CorpusConfig, DataConfig
from training.data.build_index import UNFINISHED, IndexJob, build, unfinished
from training.data.encode_records import EncodingRules
from training.data.indexed_corpus import IndexedCorpus
from training.data.readers import input_files

FORMAT = 3
"""Version, to be raised when the same input gives other files."""


def cached_corpus(
    corpus: CorpusConfig,
    data: DataConfig,
    tokenizer: Vocabulary,
    *,
    name: str,
    max_length: int,
    processes: int,
) -> IndexedCorpus:
    """Load the ids of a corpus from the cache, or build them.

    Args:
        name: of the corpus, for people.
        max_length: pieces of a side, at most, tag and length piece included.
        processes: that encode it, if it is large.

    Raises:
        DataError: the corpus cannot be read, nothing of it is left, or the cache cannot be written.
    """
    rules = EncodingRules(
        source_limit=max_length - len(tag_ids(corpus, tokenizer)) - bool(data.length_buckets),
        target_limit=max_length,
        filters=data.filters,
        source_language=data.source_language,
        normalization=tokenizer.normalization,
    )
    job = IndexJob(
        corpus=corpus,
        data=data,
        tokenizer=tokenizer,
        rules=rules,
        name=name,
        processes=processes,
    )
    key = _key(job)
    folder = data.cache() / key
    if not folder.exists():
        with _errors_named(data.cache()):
            folder.parent.mkdir(parents=True, exist_ok=True)
            with _locked(folder, name):
                if not folder.exists():
                    _remove_leftovers(folder)
                    build(job, folder)
        if _key(job) != key:
            shutil.rmtree(folder, ignore_errors=True)  # another run may have seen it, too
            raise DataError(f"{name}: a file changed while it was read. Start again.")
    return IndexedCorpus(folder)


def tag_ids(corpus: CorpusConfig, tokenizer: Vocabulary) -> list[int]:
    """Ids of the tag before each source; none without a tag.

    Raises:
        DataError: the tag is no piece of the tokenizer.
    """
    if not corpus.tag:
        return []
    ids = tokenizer.source.encode(corpus.tag)
    if tokenizer.piece(ids[-1]).removeprefix(SPACE_MARK) != corpus.tag:
        raise DataError(
            f"tag {corpus.tag!r} is no piece of the tokenizer. Name a tokenizer.model that has it "
            "as a user-defined symbol, or have one learned with it: without tokenizer.model, "
            "finetune.init_from and objective.teacher."
        )
    return ids


def _key(job: IndexJob) -> str:
    """Digest of everything that the content depends on; weight and tag are added on reading."""
    files = input_files(job.corpus, job.data)
    stats = [(os.path.realpath(path), path.stat()) for path in files]
    parts = (
        FORMAT,
        to_dict(replace(job.corpus, weight=1.0, tag="")),
        [(path, stat.st_size, stat.st_mtime_ns) for path, stat in stats],
        hashlib.sha256(job.tokenizer.model).hexdigest(),
        asdict(job.rules),
    )
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


@contextmanager
def _locked(folder: Path, name: str) -> Iterator[None]:
    """Hold the lock of `folder`; wait for a process that has it."""
    with _lock_file(folder).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"{name}: another process is reading it; waiting", file=sys.stderr)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _lock_file(folder: Path) -> Path:
    return folder.with_name(folder.name + ".lock")


def _remove_leftovers(folder: Path) -> None:
    """Remove unfinished folders that killed processes left; the lock of `folder` is ours."""
    shutil.rmtree(unfinished(folder), ignore_errors=True)
    for left in folder.parent.glob("*" + UNFINISHED):
        with _lock_file(left.with_suffix("")).open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            shutil.rmtree(left, ignore_errors=True)


@contextmanager
def _errors_named(cache: Path) -> Iterator[None]:
    """Turn errors of the file system into one line, and remove unfinished files."""
    try:
        yield
    except BrokenProcessPool as error:
        raise DataError(
            "a process that was reading the corpus was killed, perhaps for want of memory. Free "
            "memory, or let fewer read at a time (taskset -c 0 for one)."
        ) from error
    except OSError as error:
        mend = "Set data.cache_dir to a folder that you may write to."
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            mend = (
                "Make room, or set data.cache_dir to a larger disk; two bytes a piece and 16 a "
                "pair are needed."
            )
        raise DataError(f"{cache}: cannot be written ({error.strerror}). {mend}") from error
