"""A record: its fields parsed by the types that its model declares, and what could not be parsed beside them."""

import typing
from datetime import datetime
from typing import Any, ClassVar, NamedTuple, Self

from crawlers.runtime.ndjson import UnwritableError, ascii_shown, encode
from crawlers.runtime.schema.fields import FieldType
from crawlers.runtime.schema.unparsable import kind_of


class Unparsed(NamedTuple):
    """A value that its field's type can't take. ``field``: with the place within it, "author.2.identifier"."""

    field: str
    value: Any
    reason: str


class Record:
    """A record: its fields parsed, and what could not be parsed beside them.

    ``source_url``: the page that it came from; ``source``: the source's name, empty until the runtime takes the record; ``seen``: when
    (aware), None until then. Neither of these two is written: the release says both.
    ``fields``: by schema.org's name, parsed; those that say nothing are left out, those that the class doesn't declare stay as
    they are.
    """

    schema_type: ClassVar[str] = ""
    types: ClassVar[dict[str, FieldType]] = {}

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        hints = typing.get_type_hints(cls, include_extras=True)
        cls.types = {name: found for name, hint in hints.items() if (found := _field_type(hint))}
        if undeclared := [name for name in cls.__annotations__ if name not in cls.types and name != "schema_type"]:
            raise TypeError(
                f"{cls.__name__}.{undeclared[0]}: its type is none of crawlers.runtime.schema.fields, so that nobody could parse it"
            )

    def __init__(
        self, url: str, fields: dict[str, Any], unparsed: list[Unparsed], source: str, seen: datetime | None
    ) -> None:
        self.source_url = url
        self.fields = fields
        self.unparsed = unparsed
        self.source = source
        self.seen = seen

    @classmethod
    def create(cls, url: str, data: dict[str, Any], *, source: str = "", seen: datetime | None = None) -> Self:
        """Make a record of ``data``, which came from ``url``.

        ``_id`` is the one in ``data``, else the DOI, the first identifier or the URL: whichever comes first, the same in each
        crawl. ``url`` is the record's own unless ``data`` has another.

        :raises TypeError: ``data`` is no dict.
        """
        if not isinstance(data, dict):
            raise TypeError(f"a record is made of a dict, got {kind_of(data)}")
        fields: dict[str, Any] = {}
        unparsed: list[Unparsed] = []
        for name, value in {"url": url, **data}.items():
            if name in ("_id", "@type"):
                continue
            if name == "_meta" and not isinstance(value, dict):
                unparsed.append(Unparsed(name, value, f"is {kind_of(value)}, expected is an object"))
                continue
            if field_type := cls.types.get(name):
                value = field_type.parse(value, _reporter(name, unparsed))
            if value is not None and value not in ("", [], {}):
                fields[name] = value
        made: dict[str, Any] = {"@type": data.get("@type") or cls.schema_type, **fields}
        identifier = _identifier(data.get("_id"), fields, url)
        return cls(url, made if identifier is None else {"_id": identifier, **made}, unparsed, source, seen)

    def to_dict(self) -> dict[str, Any]:
        """The record as it is written. ``_meta.unparsed``: what could not be parsed; ``_meta.url``: the page that it came from, where
        that is not its ``url``.
        """
        meta = dict(self.fields.get("_meta", {}))
        if isinstance(self.source_url, str) and self.fields.get("url") not in (None, self.source_url):
            meta.setdefault("url", self.source_url)  # what the hub takes for where the record came from
        if self.unparsed:
            meta["unparsed"] = [
                {"field": told.field, "value": _kept(told.value), "reason": told.reason} for told in self.unparsed
            ]
        return {**self.fields, "_meta": meta} if meta else dict(self.fields)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.fields!r:.300})"


def as_dict(record: Any) -> Any:
    """A model's record as a dict; anything else as it is."""
    return record.to_dict() if isinstance(record, Record) else record


def _field_type(hint: Any) -> FieldType | None:
    return next((part for part in getattr(hint, "__metadata__", ()) if isinstance(part, FieldType)), None)


def _kept(value: Any) -> Any:
    """``value`` as it is where JSON can carry it; else as Python would show it."""
    try:
        encode({"_id": "value", "value": value})
        return value
    except UnwritableError:
        return ascii_shown(value)


def _reporter(name: str, unparsed: list[Unparsed]) -> Any:
    return lambda path, value, reason: unparsed.append(Unparsed(f"{name}.{path}".rstrip("."), value, reason))


def _identifier(given: Any, fields: dict[str, Any], url: str) -> Any:
    if isinstance(given, int) and not isinstance(given, bool):
        return str(given) if -(2**63) <= given < 2**64 else given
    if isinstance(given, str):
        given = given.strip()
    if given not in (None, ""):
        return given
    named = next((value for value in fields.get("identifier", ()) if isinstance(value, str)), None)
    return fields.get("doi") or named or url or None
