"""Architecture: whether the weights of one network mean the same in another."""

import dataclasses

from model.config import ModelConfig
from model.errors import ConfigError


def check_same_architecture(one: ModelConfig, other: ModelConfig, name: str) -> None:
    """Make sure that weights of `one`, which is called `name`, mean the same in `other`.

    Raises:
        ConfigError: naming each difference. Dropout rates make none, and the longest sentence.
    """
    free = {"dropout", "embedding_dropout", "word_dropout", "max_length"}
    keys = [field.name for field in dataclasses.fields(ModelConfig) if field.name not in free]
    differences = [
        f"model.{key} is {getattr(one, key)}, not {getattr(other, key)}"
        for key in keys
        if getattr(one, key) != getattr(other, key)
    ]
    if differences:
        raise ConfigError(
            f"{name}: another architecture: {'; '.join(differences)}. The sizes must be the same."
        )
