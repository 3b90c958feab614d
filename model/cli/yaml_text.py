"""YAML text: configurations, read without what a mistake or an attack can hide in them.

PyYAML takes the last of equal keys, and its recursion has no bound.
"""

from collections.abc import Hashable

import yaml

from model.errors import ConfigError
from model.text.printable import shortened

DEEPEST = 32
"""Levels of lists and mappings within each other."""
MOST = 100_000
"""Values, counting what an alias repeats as often as it does."""

_SHOWN = 40  # characters of a key

# What the constructors of PyYAML raise for a date such as 2024-99-99, "\UFFFFFFFF", !!int x.
_UNREADABLE = (ValueError, ArithmeticError, LookupError, AttributeError, TypeError)


def parse_yaml(text: str) -> object:
    """Parse a document of plain values.

    Raises:
        ConfigError: it is not YAML, a key stands twice in a mapping, lists and mappings are nested
            deeper than `DEEPEST`, or there are more than `MOST` values.
    """
    try:
        _check_depth(text)
        loader = yaml.SafeLoader(text)
        try:
            root = loader.get_single_node()
            if root is None:
                return None
            _Values(loader).check(root, 1)
            return loader.construct_document(root)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise ConfigError(f"not valid YAML: {' '.join(str(error).split())}") from None
    except _UNREADABLE as error:
        raise ConfigError(f"not valid YAML: {error}") from None


def _check_depth(text: str) -> None:
    """Check the nesting of what is written, before anything recursive sees it."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEEPEST:
                assert event.start_mark is not None
                raise ConfigError(_too_deep(event.start_mark.line))
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


class _Values:
    """Walks through the nodes of a document as they will be built, aliases included."""

    def __init__(self, loader: yaml.SafeLoader) -> None:
        self._loader = loader
        self._count = 0

    def check(self, node: yaml.Node, depth: int) -> None:
        """Check `node` and all within it."""
        self._count += 1
        if self._count > MOST:
            raise ConfigError(
                f"line {node.start_mark.line + 1}: more than {MOST:,} values, counting those of "
                "aliases. Leave out what is not needed."
            )
        if not isinstance(node, yaml.CollectionNode):
            return
        if depth > DEEPEST:  # by an alias, perhaps within its own anchor
            raise ConfigError(_too_deep(node.start_mark.line))
        if isinstance(node, yaml.MappingNode):
            self._refuse_twins(node)
            children = [part for pair in node.value for part in pair]
        else:
            children = node.value
        for child in children:
            self.check(child, depth + 1)

    def _refuse_twins(self, mapping: yaml.MappingNode) -> None:
        seen: dict[Hashable, int] = {}
        for key_node, _ in mapping.value:
            if not isinstance(key_node, yaml.ScalarNode):  # no key of ours; refused elsewhere
                continue
            merges = key_node.tag == "tag:yaml.org,2002:merge"  # <<, which has no value of its own
            key = key_node.value if merges else self._loader.construct_object(key_node)
            line = key_node.start_mark.line + 1
            if key in seen:
                raise ConfigError(
                    f"line {line}: the key {shortened(str(key), _SHOWN)!r} stands in line "
                    f"{seen[key]} already. Leave out one of the two."
                )
            seen[key] = line


def _too_deep(line: int) -> str:
    return f"line {line + 1}: nested more than {DEEPEST} deep. Check brackets and indentation."
