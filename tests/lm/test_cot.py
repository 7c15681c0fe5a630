"""The metadata block, as PyYAML writes it."""

from lm_service import cot
from lm_service.metadata import Metadata
from tests.lm.golden import Vector, vectors

# C09: a time signature that is not text, which our types do not allow.
NOT_TEXT = ("C09",)


@vectors("cot_text", but=NOT_TEXT)
def test_the_block_is_the_reference_block(vector: Vector) -> None:
    given = {name: value for name, value in vector["input"].items() if name not in ("lyrics", "duration")}
    metadata = Metadata(**given, duration_s=vector["input"].get("duration"))

    assert f"<think>\n{cot.body(metadata)}\n</think>" == vector["expected"]


def test_a_duration_is_written_in_whole_seconds() -> None:
    assert cot.body(Metadata(duration_s=95.7)) == "duration: 95"


def test_norwegian_is_quoted_because_yaml_reads_it_as_false() -> None:
    assert cot.body(Metadata(language="no")) == "language: 'no'"
