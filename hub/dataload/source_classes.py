"""The dumper and uploader class of each source, made from its manifest unless a package of its own brings them.

The made classes are bound in this module, where the worker processes find them when they unpickle.
"""

import importlib
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from biothings.hub.dataload.dumper import BaseDumper
from biothings.hub.dataload.uploader import BaseSourceUploader

from crawlers.runtime.manifest import MANIFEST, ManifestError, Source, load_sources
from hub.dataload import dumper, sources, uploader


@dataclass(frozen=True)
class SourceClasses:
    """A source and its two classes."""

    source: Source
    dumper: type[BaseDumper]
    uploader: type[BaseSourceUploader]


@dataclass(frozen=True)
class SourceFault:
    """A source that the hub can't serve, and why. ``error``: where its manifest is at fault; None where it is the code."""

    name: str
    reason: str
    error: ManifestError | None = None


def find_source_classes(
    sources_dir: Path, hub_sources_dir: Path | None = None
) -> tuple[list[SourceClasses], list[SourceFault]]:
    """The classes of all sources below ``sources_dir``; one that can't be used is a fault, and hides no other."""
    if hub_sources_dir and str(hub_sources_dir) not in sources.__path__:
        sources.__path__.insert(0, str(hub_sources_dir))
    found, errors = load_sources(sources_dir)
    faults = [SourceFault(error.path.parent.name, str(error), error) for error in errors]
    classes = []
    for source in found:
        try:
            classes.append(_classes(source))
        except Exception as error:  # whatever code of a source raises when it is imported
            faults.append(
                SourceFault(source.name, f"hub.dataload.sources.{source.name}: {type(error).__name__}: {error}")
            )
    return classes, faults


def manifest_states(sources_dir: Path) -> tuple[tuple[str, int, int, int], ...]:
    """By what a changed manifest is known: path, time of change, size and inode of each below ``sources_dir``."""
    states = []
    for path in sorted(sources_dir.glob(f"*/{MANIFEST}")):
        with suppress(OSError):
            status = path.stat()
            states.append((str(path), status.st_mtime_ns, status.st_size, status.st_ino))
    return tuple(states)


def _classes(source: Source) -> SourceClasses:
    own: list[type] = []
    if any((Path(folder) / source.name / "__init__.py").is_file() for folder in sources.__path__):
        module = importlib.import_module(f"{sources.__name__}.{source.name}")
        own = [value for value in vars(module).values() if isinstance(value, type)]
    manifest = source.manifest
    settings = {
        "reject_budget": manifest.reject_budget,
        "allow_empty": manifest.allow_empty,
        "__metadata__": {
            "src_meta": {"url": manifest.url, "license_url": manifest.license_url, "description": manifest.description}
        },
    }
    uploader_class = _own(own, BaseSourceUploader, "name", source.name)
    own_settings = set(vars(uploader_class)) if uploader_class else set()
    if uploader_class is None:
        uploader_class = _bind(f"{source.name}_Uploader", uploader.SourceUploader, {"name": source.name})
    for key in settings.keys() - own_settings:
        setattr(uploader_class, key, settings[key])
    dumper_class = _own(own, BaseDumper, "SRC_NAME", source.name)
    if dumper_class is None:
        dumper_class = _bind(f"{source.name}_Dumper", dumper.FileSystemDumper, {"SRC_NAME": source.name})
    return SourceClasses(source, dumper_class, uploader_class)


def _own(classes: list[type], base: type, attribute: str, name: str) -> type | None:
    return next((it for it in classes if issubclass(it, base) and getattr(it, attribute) == name), None)


def _bind(class_name: str, base: type, attributes: dict[str, Any]) -> type:
    """The class of that name: made once, since the SDK's managers keep it, also when the manifest has changed."""
    if known := vars(sys.modules[__name__]).get(class_name):
        return known
    made = type(class_name, (base,), {"__module__": __name__, **attributes})
    setattr(sys.modules[__name__], class_name, made)
    return made
