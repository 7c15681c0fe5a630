"""The version of what is installed."""

from importlib.metadata import version

SERVER_VERSION = version("acestep-serve")
