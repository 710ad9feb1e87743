"""The demonstration site, which is that of the source demo."""

from crawlers.sources.demo.site import serve

__all__ = ["serve"]
