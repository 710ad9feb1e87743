"""The configuration of the BioThings SDK (``HUB_CONFIG=hub.config``), made from the settings of the hub.

https://docs.biothings.io/en/latest/doc/hub.html: the names are the SDK's.
"""

from hub.settings import HubSettings

_settings = HubSettings.from_environment()
_state = _settings.runtime.data_dir / "hub"

HUB_NAME = "Crawler Fleet"
HUB_DB_BACKEND = {"module": "hub.database", "uri": _settings.database_uri()}
DATA_HUB_DB_DATABASE = f"{_settings.mongo_database}_hub"

# Where the live collections lie; hub.database takes the address from HUB_DB_BACKEND.
DATA_SRC_SERVER = DATA_TARGET_SERVER = ""
DATA_SRC_DATABASE = _settings.mongo_database
DATA_TARGET_DATABASE = f"{_settings.mongo_database}_target"

DATA_ARCHIVE_ROOT = str(_settings.archive_dir)
# Not "hub", the SDK's default: our own loggers are called hub.*.
LOGGER_NAME = "biothings.hub"
LOG_FOLDER = str(_settings.log_dir / "hub")
RUN_DIR = str(_state / "run")
CACHE_FOLDER = str(_state / "cache")
DATA_PLUGIN_FOLDER = str(_state / "plugins")
DATA_UPLOAD_FOLDER = str(_state / "dataupload")
DIFF_PATH = str(_state / "diff")
RELEASE_PATH = str(_state / "release")
ES_BACKUPS_FOLDER = str(_state / "es_backups")

HUB_API_PORT = _settings.port
HUB_MAX_WORKERS = _settings.workers
RELEASE_CONFIG: dict = {"env": {}}
CONFIG_READONLY = True
# The SDK's poll clears its flag before it starts an upload, so that a cut-off one is forgotten: hub.dataload.intake does better.
SKIP_UPLOADER_POLL = True
