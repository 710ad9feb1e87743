"""``django-oai-pmh``, on SQLite. Usage: run_django_oai_pmh.py FOLDER

Its faults are those of the real thing: after the first page of a list it forgets the set, and reads ``until`` as a second ``from``;
it refuses ``until`` without ``from``, and knows no token twice after a day.
"""

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import django
from django.conf import settings

from tests.oai_servers import run

DUBLIN_CORE = (
    '<oai_dc:dc xmlns:oai_dc="http://www.openarchives.org/OAI/2.0/oai_dc/" xmlns:dc="http://purl.org/dc/elements/1.1/">'
    "<dc:title>{0}</dc:title><dc:identifier>http://x.invalid/{0}</dc:identifier></oai_dc:dc>"
)


def set_up(folder: Path, page_size: int) -> None:
    settings.configure(
        SECRET_KEY="tests",
        ALLOWED_HOSTS=["*"],
        USE_TZ=True,
        TIME_ZONE="UTC",
        INSTALLED_APPS=["django_oai_pmh"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / "db.sqlite3")}},
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
        ROOT_URLCONF=sys.modules[__name__],
        MIDDLEWARE=[],
        OAI_PMH={"REPOSITORY_NAME": "Tests", "BASE_URL": "http://x.invalid/oai", "NUM_PER_PAGE": page_size},
    )
    django.setup()


def fill(entries: list[dict[str, Any]]) -> None:
    from django.db import connection, transaction
    from django_oai_pmh.models import Header, MetadataFormat, ResumptionToken, Set, XMLRecord

    with connection.schema_editor() as editor:
        for model in (MetadataFormat, Set, Header, ResumptionToken, XMLRecord):  # the others need PostgreSQL
            editor.create_model(model)
    with transaction.atomic():
        prefix = MetadataFormat.objects.create(
            prefix="oai_dc", schema="http://x.invalid/", namespace="http://x.invalid/"
        )
        sets: dict[str, Any] = {}
        for entry in entries:
            header = Header.objects.create(identifier=entry["identifier"], deleted=entry["deleted"])
            header.metadata_formats.add(prefix)
            for name in entry["sets"]:
                if name not in sets:
                    sets[name] = Set.objects.create(spec=name, name=name)
                header.sets.add(sets[name])
            XMLRecord.objects.create(
                header=header, metadata_prefix=prefix, xml_metadata=DUBLIN_CORE.format(entry["title"])
            )
            moment = datetime.fromisoformat(entry["datestamp"])
            Header.objects.filter(pk=header.pk).update(timestamp=moment)


def main(folder: Path) -> None:
    given = json.loads((folder / "entries.json").read_text())
    set_up(folder, given["page_size"])
    fill(given["entries"])
    from django.core.wsgi import get_wsgi_application
    from django.urls import path
    from django_oai_pmh.views import oai2

    globals()["urlpatterns"] = [path("oai", oai2)]
    run(get_wsgi_application(), lambda url: None)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
