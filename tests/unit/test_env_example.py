"""The list of settings in .env.example is complete, and names none that is gone."""

import re
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
READERS = ("crawlers", "fleet", "hub", "scripts", "bench", "tests/conftest.py", "docker-compose.yml", "Makefile")
_NAME = re.compile(r"\bFLEET_[A-Z0-9_]*[A-Z0-9]\b")


def test_every_setting_that_is_read_is_explained_and_every_one_explained_is_read() -> None:
    explained = set(re.findall(r"(?m)^#?(FLEET_[A-Z0-9_]+)=", (CHECKOUT / ".env.example").read_text()))
    read: dict[str, str] = {}
    for place in READERS:
        for path in [CHECKOUT / place, *(CHECKOUT / place).rglob("*")]:
            if path.is_file() and path.suffix in ("", ".py", ".sh", ".yml") and "fixtures" not in path.parts:
                read |= dict.fromkeys(_NAME.findall(path.read_text(encoding="utf-8")), str(path))
    missing = {name: path for name, path in read.items() if name not in explained}
    assert not missing, "read here, and not explained in .env.example"
    assert explained <= read.keys(), "explained in .env.example, and read nowhere"
