"""Shards: every part has one owner."""

import pytest

from model.errors import ConfigError
from model.jobs.parts import Shard, parse_shard


@pytest.mark.parametrize("count", [1, 2, 3, 16])
def test_every_part_has_one_owner_and_shares_are_even(count: int) -> None:
    shards = [Shard(index, count) for index in range(1, count + 1)]
    shares = [{part for part in range(50) if shard.owns(part)} for shard in shards]
    assert sorted(part for share in shares for part in share) == list(range(50))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize("parts", [0, 1, 3, 5])
def test_who_owns_a_part_has_work_and_so_has_the_first(parts: int) -> None:
    for index in range(1, 6):
        owns = any(Shard(index, 5).owns(part) for part in range(parts))
        assert Shard(index, 5).has_work(parts) == (owns or index == 1)


def test_a_shard_as_it_is_written() -> None:
    assert parse_shard("3/8") == Shard(3, 8)
    assert str(Shard(3, 8)) == "3/8"


@pytest.mark.parametrize("text", ["", "3", "0/2", "3/2", "1/0", "-1/2", "1/2/3", "a/b", " 1/2"])
def test_what_is_no_shard(text: str) -> None:
    with pytest.raises(ConfigError, match=r"is not i/N with i from 1 to N\. Give one like 2/8\."):
        parse_shard(text)
