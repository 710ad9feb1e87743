"""The file systems that the fleet writes to."""

import os

from hub.settings import HubSettings


def find_disks(settings: HubSettings) -> dict[str, tuple[int, int]]:
    """Size, and what of it is free to us, in bytes, by what lies there: ``shared``, ``archive``, ``data``.

    Those that are one and the same are told once, by the first name.
    """
    folders = {
        "shared": settings.runtime.shared_dir,
        "archive": settings.archive_dir,
        "data": settings.runtime.data_dir,
    }
    found, devices = {}, set()
    for disk, folder in folders.items():
        try:
            device, state = folder.stat().st_dev, os.statvfs(folder)
        except OSError:  # not made yet
            continue
        if device not in devices:
            devices.add(device)
            found[disk] = (state.f_blocks * state.f_frsize, state.f_bavail * state.f_frsize)
    return found
