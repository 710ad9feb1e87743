"""Real metadata through models and validation: whatever sites wrote, counts add up and nothing is lost."""

from typing import Any

import orjson
import pytest

from crawlers.runtime.manifest import Manifest
from crawlers.runtime.ndjson import encode
from crawlers.runtime.record import complete
from crawlers.runtime.schema.models import MODELS
from crawlers.runtime.schema.profiles import PROFILES
from crawlers.runtime.schema.record import Record
from crawlers.runtime.schema.validation import Validator
from tests.real_records import COLLECTIONS, SHARED

pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason=f"{SHARED} is not there")
# How many records there are, and what share of them at least meets a profile: real data don't change.
EXPECTED = {
    "bio.tools": (9751, {"nde": 0.0, "datacite": 0.0}),
    "DataCite": (500, {"google": 0.6, "datacite": 0.99}),
    "trials": (104, {"nde": 0.0}),
}


@pytest.mark.parametrize("name", COLLECTIONS)
def test_real_records_go_through_models_and_validation_and_counts_add_up(name: str, manifest: Manifest) -> None:
    validator = Validator(PROFILES)
    made = unparsed = 0
    for record in COLLECTIONS[name]():
        made += 1
        unparsed += len(record.unparsed)
        written = complete(record.to_dict(), manifest)
        assert validator.check(written) is None
        line = encode(written)
        if made % 25 == 0:
            _stays_as_it_is(record, orjson.loads(line))
    found = validator.summary()
    records, shares = EXPECTED[name]
    assert made == found.records == sum(found.classes.values()) == records
    assert sum(fault.count for fault in found.unparsed) == unparsed
    assert not found.impossible, "what a model made is possible"
    for result in found.profiles.values():
        assert result.valid <= result.records <= records
        assert all(0 < count <= result.records for count in result.missing_required.values())
        assert result.valid >= result.records - sum((result.missing_required | result.broken).values())
    for profile, share in shares.items():
        result = found.profiles[profile]
        assert result.valid >= share * result.records


def _stays_as_it_is(record: Record, written: dict[str, Any]) -> None:
    """What was parsed and written once is parsed into the same."""
    again = type(record).create(record.source_url, {key: value for key, value in written.items() if key != "_meta"})
    assert again.unparsed == []
    kept = {key: value for key, value in again.fields.items() if key not in ("_id", "date", "includedInDataCatalog")}
    assert kept == {key: value for key, value in record.fields.items() if key != "_id"}


def test_the_models_of_the_real_records_are_ours() -> None:
    assert {type(record).schema_type for record in COLLECTIONS["DataCite"]()} <= MODELS.keys()
