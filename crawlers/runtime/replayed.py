"""Records that passed when an earlier run's rejects were replayed, on their way into the next release.

They lie in ``<source>_state/replayed/``, a record a line, in ``<release>.ndjson`` or, where that run published nothing,
``<release>-unpublished.ndjson``, named by the run whose rejects they were. They count as long as no later release is published
(nor that very one, where it wasn't: a crawl that is gone on with keeps its name): what is published after them either holds them,
or made those records itself. So nothing has to be noted when they are consumed, and a crash can neither lose them nor bring them
back.
"""

import os
from collections.abc import Container, Iterable
from contextlib import suppress
from pathlib import Path

import msgspec

from crawlers.runtime import release as protocol
from crawlers.runtime.errors import FleetError, ReleaseError
from crawlers.runtime.ndjson import UnwritableError
from crawlers.runtime.publishing import sync_folder
from crawlers.runtime.temporary import create_temporary, remove_abandoned, temporary_path
from crawlers.runtime.writer import ReleaseWriter

REPLAYED = "replayed"
_UNPUBLISHED = "-unpublished"


def keep(shared_dir: Path, source: str, release: str, lines: Iterable[bytes], *, published: bool) -> Path | None:
    """Keep ``lines`` as what passed of the run ``release``, in place of what was kept of it before; None where there are none.

    Only who holds the source's lock may. ``published``: whether that run made a release, be it a held one.

    :raises OSError: the disk failed; what was kept before is whole.
    """
    folder = protocol.state_folder(shared_dir, source) / REPLAYED
    path = folder / f"{release}{'' if published else _UNPUBLISHED}.ndjson"
    folder.mkdir(parents=True, exist_ok=True)
    remove_abandoned(folder)
    count = 0
    with create_temporary(folder, path.name) as file:
        try:
            with os.fdopen(os.dup(file.fileno()), "wb") as buffered:
                for line in lines:
                    buffered.write(line)
                    count += 1
            os.fsync(file.fileno())
            if count:
                temporary_path(folder, path.name).replace(path)
            else:
                path.unlink(missing_ok=True)
        finally:
            temporary_path(folder, path.name).unlink(missing_ok=True)
    sync_folder(folder)
    return path if count else None


def find_replayed(shared_dir: Path, source: str) -> list[Path]:
    """The files of records that wait for the next release, the newest run first."""
    waiting, _ = _sort(shared_dir, source)
    return waiting


def add_replayed(writer: ReleaseWriter, shared_dir: Path, withdrawn: Container[str] = ()) -> None:
    """Add the records that wait to what ``writer`` writes; where the crawl made one of the same ``_id``, that stays.

    :param withdrawn: the ``_id`` of records that their site withdrew: those stay out.
    :raises FleetError: a file of them can't be read.
    """
    for path in find_replayed(shared_dir, writer.manifest.name):
        try:
            with path.open("rb") as file:
                for line in file:
                    record = msgspec.json.decode(line, type=dict)
                    if record.get("_id") not in withdrawn:
                        writer.write_replayed(record)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, UnwritableError) as error:
            raise FleetError(
                f"{writer.manifest.name}: {path}: {error}. It holds records that were replayed; remove it, and replay them "
                f"again (`fleet replay {writer.manifest.name}`). Nothing was published."
            ) from error


def remove_consumed(shared_dir: Path, source: str) -> None:
    """Remove the records that a release published since then has taken in. Only who holds the source's lock may."""
    _, consumed = _sort(shared_dir, source)
    for path in consumed:
        with suppress(OSError):  # by its name it counts for nothing any more
            path.unlink()


def _sort(shared_dir: Path, source: str) -> tuple[list[Path], list[Path]]:
    try:
        published = protocol.read_release(protocol.release_folder(shared_dir, source))
    except ReleaseError as error:
        if isinstance(error.__cause__, OSError):
            raise
        published = None  # no release that anybody takes
    found = []
    for path in (protocol.state_folder(shared_dir, source) / REPLAYED).glob("*.ndjson"):
        try:
            found.append((protocol.parse_release(path.stem.removesuffix(_UNPUBLISHED), path).at, path))
        except ReleaseError:  # whatever that is, it is none of ours
            continue
    found.sort(reverse=True)
    waiting = [
        path
        for at, path in found
        if published is None or at > published.at or (at == published.at and not path.stem.endswith(_UNPUBLISHED))
    ]
    return waiting, [path for _, path in found if path not in waiting]
