"""Before the hub starts: whether it may be reached from where it would be."""

import ssl

from crawlers.runtime.errors import UsageError
from hub.access.users_file import UsersFile
from hub.settings import HubSettings


def check_exposure(settings: HubSettings) -> None:
    """:raises UsageError: others could reach the hub, and nobody can log in; or the users' file is wrong."""
    access = settings.access
    users = UsersFile(access.users_file).read().users
    if settings.on_loopback and not access.hosts and not access.trusted_proxies:
        return
    if settings.password or users:
        return
    names = (
        f"FLEET_HUB_HOST is {settings.host!r}"
        if not settings.on_loopback
        else "FLEET_HUB_HOSTS or FLEET_HUB_TRUSTED_PROXIES is set"
    )
    raise UsageError(
        f"{names}, so others can reach the hub, but nobody can log in. Make a user first (`fleet user add NAME --role admin`), "
        "or set FLEET_HUB_USER and FLEET_HUB_PASSWORD_FILE; or FLEET_HUB_HOST=127.0.0.1 without the other two."
    )


def tls_context(settings: HubSettings) -> ssl.SSLContext | None:
    """What TLS is done with; None where the hub speaks plain HTTP.

    :raises UsageError: the certificate or its key can't be used.
    """
    access = settings.access
    if not access.certificate or not access.key:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(access.certificate, access.key)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(
            f"FLEET_HUB_TLS_CERTIFICATE_FILE {access.certificate} and FLEET_HUB_TLS_KEY_FILE {access.key} can't be used: {error}. "
            "A certificate with its chain, and its key, both in PEM and without passphrase, are expected."
        ) from error
    return context
