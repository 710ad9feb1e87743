"""The settings that crawlers read: environment variables, the same in a container and out of it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
PROJECT_URL = "https://github.com/crawler-fleet/crawler-fleet"


@dataclass(frozen=True)
class RuntimeSettings:
    """Where things lie, and who we say we are.

    ``data_dir``: all local state, unless one of the others says otherwise (``FLEET_DATA_DIR``).
    ``shared_dir``: the shared volume, where releases are published (``FLEET_SHARED_DIR``).
    ``sources_dir``: the folder of the sources (``FLEET_SOURCES_DIR``).
    ``contact``: e-mail address or URL that the operators of crawled sites can turn to; it wins over
    a manifest's (``FLEET_CONTACT``). Empty: the manifest's.
    """

    data_dir: Path
    shared_dir: Path
    sources_dir: Path
    contact: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "RuntimeSettings":
        data_dir = Path(environment.get("FLEET_DATA_DIR") or CHECKOUT / "fleet-data").absolute()
        return cls(
            data_dir=data_dir,
            shared_dir=Path(environment.get("FLEET_SHARED_DIR") or data_dir / "shared").absolute(),
            sources_dir=Path(environment.get("FLEET_SOURCES_DIR") or CHECKOUT / "crawlers" / "sources").absolute(),
            contact=environment.get("FLEET_CONTACT", "").strip(),
        )
