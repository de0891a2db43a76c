"""A local web page to look through a corpus."""

from manifests.browse.server import Server, serve

__all__ = ["Server", "serve"]
