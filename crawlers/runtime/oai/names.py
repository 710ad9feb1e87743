"""Names of XML elements without their namespaces: servers get namespaces wrong, or leave them out, more often than names."""

from typing import Any


class _LocalNames(dict[Any, str]):
    """The local name by tag; that of comments and processing instructions, whose tags are no strings, is empty."""

    def __missing__(self, tag: Any) -> str:
        name = tag.rpartition("}")[2] if isinstance(tag, str) else ""
        if len(self) < 10_000:  # hostile documents could name any number
            self[tag] = name
        return name


LOCAL = _LocalNames()
