import pytest

from tests.clients.languages import LANGUAGES, BuiltClient, built


@pytest.fixture(params=LANGUAGES, ids=lambda language: language.name)
def other_client(request: pytest.FixtureRequest) -> BuiltClient:
    """The client of each language in turn."""
    return built(request.param)
