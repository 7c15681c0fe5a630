"""The metadata block, as PyYAML writes it."""

from lm_service import cot
from lm_service.metadata import Metadata


def test_a_duration_is_written_in_whole_seconds() -> None:
    assert cot.body(Metadata(duration_s=95.7)) == "duration: 95"


def test_norwegian_is_quoted_because_yaml_reads_it_as_false() -> None:
    assert cot.body(Metadata(language="no")) == "language: 'no'"
