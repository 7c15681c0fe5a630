"""The Python client of acestep-serve, and the generated code of its contracts."""
