"""Settings come from the environment, and a mistake in it stops the service."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from common.settings import SettingsError, load


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    checkpoint: Path
    jobs: int = 8
    eager: bool = False
    models: tuple[str, ...] = ()
    limit: float | None = None

    def __post_init__(self) -> None:
        if self.jobs < 1:
            raise ValueError(f"jobs is {self.jobs}; it must be at least 1")


def test_fields_are_read_with_their_types_and_defaults() -> None:
    environ = {"X_CHECKPOINT": "/m", "X_EAGER": "true", "X_MODELS": "a, b", "X_LIMIT": "0.5", "OTHER": "1"}

    settings = load(Settings, "X", environ)

    assert settings == Settings(checkpoint=Path("/m"), eager=True, models=("a", "b"), limit=0.5)


@pytest.mark.parametrize(
    ("environ", "complaint"),
    [
        ({}, "X_CHECKPOINT is required"),
        ({"X_CHECKPOINT": "/m", "X_JOB": "2"}, "unknown settings: X_JOB"),
        ({"X_CHECKPOINT": "/m", "X_JOBS": "two"}, "X_JOBS='two' is not a valid int"),
        ({"X_CHECKPOINT": "/m", "X_EAGER": "maybe"}, "X_EAGER='maybe' is not a valid bool"),
        ({"X_CHECKPOINT": "/m", "X_JOBS": "0"}, "jobs is 0; it must be at least 1"),
    ],
)
def test_a_mistake_is_named(environ: dict[str, str], complaint: str) -> None:
    with pytest.raises(SettingsError, match=complaint):
        load(Settings, "X", environ)
