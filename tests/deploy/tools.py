"""Programs that read what is deployed, for the tests to ask."""

import shutil

import pytest


def needs(program: str) -> None:
    """Skip a test whose `program` is not on this machine.

    These are no Python packages, so `make test` cannot bring them along for a newcomer; `.ci/run` does,
    or says that it could not.
    """
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
