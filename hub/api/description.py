"""What each method of an endpoint is for, said where it is written: the OpenAPI description is made from it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

Method = TypeVar("Method", bound=Callable[..., Any])


class NoParameters(msgspec.Struct, forbid_unknown_fields=True):
    """Nothing can be asked for."""


@dataclass(frozen=True)
class Operation:
    """``parameters``: a struct, a field for each. A change takes them from the query, a form or a JSON object; else it is the query.

    ``answer``: the type of the JSON answer; None: it is no JSON, but ``content``.
    """

    summary: str
    parameters: type[msgspec.Struct]
    answer: Any
    content: str = "application/json"


def described(
    summary: str, *, parameters: type[msgspec.Struct] = NoParameters, answer: Any = dict[str, Any], content: str = ""
) -> Callable[[Method], Method]:
    """Describe a method of a handler. ``content``: the media type of an answer that is no JSON."""
    operation = Operation(summary, parameters, None if content else answer, content or "application/json")

    def mark(method: Method) -> Method:
        vars(method)["operation"] = operation
        return method

    return mark


def operation_of(method: Any) -> Operation | None:
    """How ``method`` is described; None where it isn't."""
    return getattr(method, "operation", None)
