"""The fields of a record under conversion: a plain dict, filled by these functions.

Properties are schema.org's. What has none that fits is kept under ``additionalProperty``, with the name that it had.
"""

from typing import Any

Fields = dict[str, Any]
# schema.org takes one value or several; these are single in most records, and a list only where there are more.
_SINGLE_IF_ONE = ("license", "inLanguage", "publisher", "additionalType", "temporalCoverage", "copyrightNotice")


def add(fields: Fields, name: str, value: Any) -> None:
    """Append ``value`` to the list ``name``, unless it says nothing or is there already."""
    if not value:
        return
    values = fields.get(name)
    if values is None:
        fields[name] = [value]
    elif value not in values:
        values.append(value)


def put(fields: Fields, name: str, value: Any) -> None:
    """Set ``name`` where it isn't set yet; a further value that differs is kept as an additional property."""
    if not value:
        return
    if fields.setdefault(name, value) != value:
        note(fields, name, value)


def note(fields: Fields, name: str, value: Any) -> None:
    """Keep what no property of schema.org fits, under the name that it had."""
    if value:
        add(fields, "additionalProperty", {"@type": "PropertyValue", "name": name, "value": value})


def describe(fields: Fields, text: str) -> None:
    """Add a paragraph to the description."""
    if not text:
        return
    before = fields.get("description")
    if not before:
        fields["description"] = text
    elif text not in before:
        fields["description"] = f"{before}\n\n{text}"


def title(fields: Fields, text: str) -> None:
    """The first title is the name; others are alternate names."""
    if not text:
        return
    if "name" not in fields:
        fields["name"] = text
    elif fields["name"] != text:
        add(fields, "alternateName", text)


def simplified(fields: Fields) -> Fields:
    """``fields`` with single values where a property that is mostly single has one."""
    for name in _SINGLE_IF_ONE:
        values = fields.get(name)
        if type(values) is list and len(values) == 1:
            fields[name] = values[0]
    return fields
