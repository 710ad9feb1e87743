"""A crawl of a source of kind ``oai-pmh``: its ledger brought up to date, and all of its records given to the release."""

import logging
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import orjson

from crawlers.runtime import http
from crawlers.runtime.errors import FleetError
from crawlers.runtime.manifest import Manifest
from crawlers.runtime.oai.answer import read_answer
from crawlers.runtime.oai.build import build
from crawlers.runtime.oai.conversion import as_it_came
from crawlers.runtime.oai.convert import ConversionError, convert
from crawlers.runtime.oai.endpoint import AskError
from crawlers.runtime.oai.harvest import Wanted
from crawlers.runtime.oai.ledger import LEDGER, Ledger
from crawlers.runtime.oai.to_folder import Access, open_endpoint, run_harvest
from crawlers.runtime.release import state_folder
from crawlers.runtime.run import Run

logger = logging.getLogger(__name__)


def crawl_oai(run: Run) -> None:
    """Harvest what is new, and write the whole source from the windows. What is missing is in ``run.gaps``, and an error each."""
    manifest = run.source.manifest
    access, wanted = access_of(manifest, run), wanted_of(manifest)
    if run.limit:
        _try_out(run, access, wanted)
        return
    ledger = Ledger(state_folder(run.writer.folder.parent, manifest.name) / LEDGER)
    run_harvest(access, manifest, wanted, ledger, run.tally)
    run.tally.pages += len(ledger.windows())
    built = build(
        ledger.filled(),
        run.writer.folder,
        lambda identifier, line, shape: run.accept(orjson.loads(line)),
        lambda reason, record: run.writer.reject(reason, record=record),
        run.tally.step,
    )
    run.deleted = built.deleted
    run.gaps = [gap.describe() for gap in ledger.gaps()]
    for gap in run.gaps:
        missing = ", ".join(gap["identifiers"][:3]) or "all"
        run.tally.pages += 1
        run.fail_page("gap", access.url, f"{missing} from {gap['from']} until {gap['until']}: {gap['reason']}")


def access_of(manifest: Manifest, run: Run) -> Access:
    """How the manifest says that its endpoint is asked."""
    assert manifest.oai is not None
    return Access(
        url=manifest.oai.endpoint,
        rate=manifest.rate,
        post=manifest.oai.post,
        base_url=run.base_url,
        contact=run.contact,
        obey_robots=manifest.obey_robots,
        patience=run.patience,
    )


def wanted_of(manifest: Manifest) -> Wanted:
    """What the manifest says is to be harvested."""
    oai = manifest.oai
    assert oai is not None
    overlap_seconds = int(oai.overlap_days * 86400)
    return Wanted(oai.metadata_prefix, oai.set, oai.from_, oai.until, overlap_seconds, manifest.concurrency)


def read_case(body: bytes, endpoint: str) -> tuple[list[dict[str, Any]], list[str], str]:
    """The records in an answer, why others are none, and the URL of the next one; empty on the last page."""
    answer = read_answer(body)
    records, errors = [], []
    for record in answer.records():
        if record.deleted:
            continue
        try:
            records.append(convert(record))
        except ConversionError as error:
            errors.append(f"{record.identifier}: {error}")
    errors += [f"{broken.identifier}: {broken.reason}" for broken in answer.broken]
    token = answer.token.text if answer.token else ""
    verb = answer.verb or "ListRecords"
    return records, errors, f"{endpoint}?verb={verb}&resumptionToken={quote(token, safe='')}" if token else ""


def _try_out(run: Run, access: Access, wanted: Wanted) -> None:
    """Show the first records, and keep nothing."""
    transport, endpoint = open_endpoint(access, run.source.manifest, 1, run.tally)
    try:
        for record in _first_records(endpoint, wanted):
            if run.writer.counts.items >= run.limit:
                run.limited = True
                return
            if not record.deleted:
                try:
                    run.accept(convert(record))
                except ConversionError as error:
                    run.writer.reject(str(error), record=as_it_came(record))
    except AskError as error:
        raise FleetError(f"{run.source.name}: {error}. Nothing was published.") from error
    finally:
        transport.close()


def _first_records(endpoint: Any, wanted: Wanted) -> Iterator[Any]:
    arguments = {"metadataPrefix": wanted.prefix}
    arguments |= {
        name: value for name, value in (("from", wanted.start), ("until", wanted.until), ("set", wanted.set)) if value
    }
    while True:
        reply = endpoint.list_records(arguments, http.RETRIES + 1)
        if reply.answer.error:
            raise FleetError(f"{reply.frame.url}: {reply.answer.describe_errors()}. Nothing was published.")
        yield from reply.answer.records()
        if reply.answer.token is None or not reply.answer.token.text:
            return
        arguments = {"resumptionToken": reply.answer.token.text}
