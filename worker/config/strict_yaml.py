"""YAML in which nothing is read silently as something else."""

from typing import Any

import yaml


class NotYamlError(ValueError):
    """A text is no YAML, or holds a key twice: ` (line 3: why)`, or nothing if that is unknown.

    Without the text around it: that may be a hash.
    """


class _Loader(yaml.SafeLoader):
    """Refuses what would be read silently as something else: a key that is there twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - as PyYAML has it
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if len(set(keys)) < len(keys):
            raise yaml.MarkedYAMLError(problem="a key is there twice", problem_mark=node.start_mark)
        return super().construct_mapping(node, deep)


def read(text: bytes) -> Any:
    """The document that a text is; None of an empty one. Raises NotYamlError."""
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - it is a SafeLoader
    except (yaml.YAMLError, RecursionError, ValueError, TypeError) as error:
        raise NotYamlError(_where(error)) from None


def _where(error: Exception) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        return f" (line {error.problem_mark.line + 1}: {error.problem})"
    return ""
