"""What validation found in the records of a release: a part of ``release.json``."""

import msgspec


class Fault(msgspec.Struct, kw_only=True):
    """How often a field was at fault for one reason; ``example``: one such value, shortened, and ``record``: the ``_id`` of its record."""

    field: str
    reason: str
    count: int = 0
    example: str = ""
    record: str = ""


class ProfileResult(msgspec.Struct, kw_only=True):
    """How the records meet one profile. ``records``: those that it says something of; ``valid``: those that meet all it requires.

    ``missing_required``, ``missing_recommended``: how many records lack each field; ``broken``: how many break each further rule.
    """

    records: int = 0
    valid: int = 0
    missing_required: dict[str, int] = msgspec.field(default_factory=dict)
    missing_recommended: dict[str, int] = msgspec.field(default_factory=dict)
    broken: dict[str, int] = msgspec.field(default_factory=dict)


class Validation(msgspec.Struct, kw_only=True):
    """What validation found. ``records``: all that it looked at, also those that were rejected afterwards (a second one of the
    same ``_id``, say); ``refused``: those that it rejected itself, for want of what the manifest demands. Records that were
    replayed were looked at then, and are not among them.

    ``classes``: how many records there are of each class; ``completeness``: the mean of their weighted scores, 0 to 1.
    ``profiles``: by name. ``impossible``: values that can't stand in their field; ``unparsed``: values that a model could not
    parse and kept beside the record. Both by field and reason, the most frequent first.
    """

    records: int = 0
    refused: int = 0
    classes: dict[str, int] = msgspec.field(default_factory=dict)
    completeness: float = 0.0
    profiles: dict[str, ProfileResult] = msgspec.field(default_factory=dict)
    impossible: list[Fault] = msgspec.field(default_factory=list)
    unparsed: list[Fault] = msgspec.field(default_factory=list)
