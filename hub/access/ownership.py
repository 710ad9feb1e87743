"""Files that the hub and the ``fleet`` command both write: root's command must not leave any that the hub can't use."""

import os
from pathlib import Path


def give_to_hub(path: Path) -> None:
    """What root has made belongs to whom its folder belongs to, which is who the hub runs as."""
    if os.geteuid() == 0:
        folder = path.parent.stat()
        os.chown(path, folder.st_uid, folder.st_gid)
