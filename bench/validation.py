"""How fast records are validated, beside an interpreted validator of the same types, and what share of real records is valid.

Usage: python bench/validation.py [RECORDS]    (default: 50000 records of 2 KB)

Ours also holds each record against its profile and works out its completeness; the other checks types alone. Processor time of
one core, the best of three runs; how long models take to make such records is told beside.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from jsonschema import Draft202012Validator

sys.path.insert(0, str(Path(__file__).parents[1]))

from crawlers.runtime.manifest import Manifest
from crawlers.runtime.record import complete
from crawlers.runtime.schema.models import Dataset
from crawlers.runtime.schema.profiles import PROFILES
from crawlers.runtime.schema.shapes import SHAPES
from crawlers.runtime.schema.validation import Validator
from tests.command import MANIFEST
from tests.real_records import COLLECTIONS, SHARED

RUNS = 3
AIM = 20_000
TEXT = "The immune response to a vaccine was measured in whole blood before and after. " * 16


def raw(number: int) -> dict[str, Any]:
    """What a site gives."""
    return {
        "_id": f"bench_{number}",
        "name": f"Dataset <i>{number}</i>",
        "description": f"<p>{TEXT}</p>",
        "datePublished": "2019-05-04",
        "dateModified": "May 2020",
        "author": ["Ñáñez, Łucja", {"name": "Ana Muster", "affiliation": "Institute of Examples"}],
        "keywords": "vaccination, immunology, whole blood",
        "doi": f"https://doi.org/10.5072/BENCH.{number}",
        "license": "https://creativecommons.org/publicdomain/zero/1.0/",
        "funding": [{"identifier": "B-1", "funder": "Example Fund"}],
        "distribution": [f"https://data.example.org/{number}.csv"],
        "measurementTechnique": "ELISA",
        "species": "Homo sapiens",
        "inLanguage": "en",
    }


def best(work: Callable[[], Any], count: int) -> float:
    """Records a second of processor time, in the best of the runs."""
    seconds = []
    for _ in range(RUNS):
        started = time.process_time()
        work()
        seconds.append(time.process_time() - started)
    return count / min(seconds)


def validate_all(records: list[dict[str, Any]], *profiles: str) -> Validator:
    validator = Validator(profiles)
    for record in records:
        validator.check(record)
    return validator


def main(count: int = 50_000) -> None:
    few = count // 25
    url = "https://data.example.org/1"
    made = best(lambda: [Dataset.create(url, raw(number)).to_dict() for number in range(few)], few)
    records = [Dataset.create(url, raw(number)).to_dict() for number in range(count)]
    size = sum(len(msgspec.json.encode(record)) for record in records[:100]) // 100
    interpreted = Draft202012Validator(msgspec.json.schema(SHAPES["Dataset"].whole))
    theirs = best(lambda: [interpreted.is_valid(record) for record in records[: few // 4]], few // 4)
    one = best(lambda: validate_all(records, "nde"), count)
    three = best(lambda: validate_all(records, *PROFILES), count)
    print(f"{count} records of {size} bytes, best of {RUNS}, records a second of one core:")
    for way, rate in (("validation, one profile", one), ("validation, three profiles", three)):
        print(
            f"  {way:32} {rate:10,.0f}   {rate / theirs:6.1f} times jsonschema   {rate / AIM:4.1f} times the aim of {AIM:,}"
        )
    print(f"  {'jsonschema, types alone':32} {theirs:10,.0f}")
    print(f"  {'models: raw to record':32} {made:10,.0f}   {made / one:6.2f} times the validation")
    if SHARED.is_dir():
        report()


def report() -> None:
    manifest = Manifest(name="real", kind="api", **MANIFEST)
    print("\nReal records, mapped plainly:")
    for name, collection in COLLECTIONS.items():
        found = validate_all([complete(record.to_dict(), manifest) for record in collection()], *PROFILES).summary()
        classes = ", ".join(f"{count} {kind}" for kind, count in found.classes.items())
        print(f"  {name}: {found.records} records ({classes}), {found.completeness:.0%} complete on average")
        for profile, result in found.profiles.items():
            if result.records:
                lacks = {**result.missing_required, **result.broken}
                why = ", ".join(f"{field} {missing / result.records:.1%}" for field, missing in lacks.items())
                print(
                    f"    {profile:9} {result.valid / result.records:6.1%} of {result.records} valid; missing or broken: {why or '-'}"
                )
        for fault in found.unparsed[:5]:
            print(f"    unparsed  {fault.field}: {fault.reason} × {fault.count}, e.g. {fault.example[:60]}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
