"""How the hub is set up is told without a secret."""

from pathlib import Path

import orjson

from hub.settings import HubSettings
from hub.views.configuration import list_settings


def test_no_secret_is_told(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("s3cret-one\n")
    environment = {
        "FLEET_DATA_DIR": str(tmp_path),
        "FLEET_HUB_USER": "anna",
        "FLEET_HUB_PASSWORD_FILE": str(tmp_path / "password"),
        "FLEET_MONGO_URI": "mongodb://root:s3cret-two@db.invalid/?authSource=admin&tlsCertificateKeyFilePassword=s3cret-three",
        "FLEET_ALERT_TOKEN": "s3cret-four",
        "FLEET_HOOK": "https://hooks.invalid/x?token=s3cret-five&a=1",
    }
    settings = list_settings(HubSettings.from_environment(environment), environment)
    told = orjson.dumps([(it.name, it.value) for it in settings]).decode()
    assert "s3cret" not in told
    shown = {it.name: it.value for it in settings if it.of == "environment"}
    assert shown["FLEET_HUB_PASSWORD_FILE"] == str(tmp_path / "password")
    assert "frozenset" not in told
    assert "root" in shown["FLEET_MONGO_URI"] and "authSource=admin" in shown["FLEET_MONGO_URI"]
    assert {"host", "runtime.shared_dir", "access.read_only"} <= {it.name for it in settings if it.of == "hub"}
