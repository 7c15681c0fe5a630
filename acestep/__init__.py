"""The Python client of acestep-serve, and the generated code of its contracts."""

__version__ = "0.1.0"
