"""docs/inference_api.md holds every field, with its default, and every test it names is there."""

import ast
import dataclasses
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from acestep import inference
from acestep.upstream.names import FIELDS
from acestep.upstream.parameters import TEXT2MUSIC_INSTRUCTION
from acestep_serve.song_options import SONG_OPTIONS
from tests.client.conftest import Studio
from tests.client.test_params import SONG, ok

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "docs/inference_api.md"
DATACLASSES = [
    getattr(inference, name)
    for name in inference.__all__
    if dataclasses.is_dataclass(getattr(inference, name))
]
SPELT_OUT = {TEXT2MUSIC_INSTRUCTION: "text to music's"}


def rows(section: str) -> dict[str, list[str]]:
    """The cells of a section's table, by the first one without its ticks."""
    text = TABLE.read_text().partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| `")]
    return {cells[0].strip("`"): cells[1:] for cells in lines}


def default_of(field: "dataclasses.Field[Any]") -> str:
    factory: Any = field.default_factory
    value = factory() if field.default is dataclasses.MISSING else field.default
    return SPELT_OUT.get(str(value), f"`{value!r}`")


@pytest.mark.parametrize("kind", DATACLASSES, ids=lambda kind: str(kind.__name__))
def test_every_field_is_in_the_table_in_order_and_with_its_default(kind: Any) -> None:
    table = rows(kind.__name__)

    assert [(name, cells[0]) for name, cells in table.items()] == [
        (field.name, default_of(field)) for field in dataclasses.fields(kind)
    ]


@pytest.mark.parametrize(
    "function", [inference.understand_music, inference.create_sample, inference.format_sample]
)
def test_every_sampling_argument_is_in_the_table(function: Callable[..., Any]) -> None:
    parameters = inspect.signature(function).parameters
    shown = {name: f"`{parameters[name].default!r}`" for name in list(parameters)[-6:]}

    assert {name: cells[0] for name, cells in rows("Sampling of the texts").items()} == shown


def test_every_test_that_the_table_names_is_there() -> None:
    functions = {
        node.name
        for path in (ROOT / "tests/client").glob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    }
    lines = [line for line in TABLE.read_text().splitlines() if "| `test_" in line]
    named = {line.rstrip("| ").rpartition("| ")[2].strip("` ") for line in lines}

    assert len(lines) > 90
    assert named <= functions


async def test_the_keys_of_a_song_and_of_the_extra_outputs_are_in_the_table(studio: Studio) -> None:
    result = await ok(studio, SONG)

    assert set(rows("audios")) == set(result.audios[0])
    assert set(rows("extra_outputs")) == set(result.extra_outputs)


def test_the_command_and_the_functions_send_a_field_to_the_same_place() -> None:
    options = {option.name: option.field for option in SONG_OPTIONS if option.field}

    shared = options.keys() & FIELDS.keys()
    assert len(shared) > 35
    assert {name: FIELDS[name] for name in shared} == {name: options[name] for name in shared}


def test_the_functions_have_upstreams_arguments() -> None:
    """Names, order and defaults, as the published API has them."""
    text = "temperature=0.85 top_k=None top_p=None repetition_penalty=1.0"
    text += " use_constrained_decoding=True constrained_decoding_debug=False"
    published = {
        "generate_music": "dit_handler llm_handler params config save_dir=None progress=None",
        "understand_music": f"llm_handler audio_codes {text}",
        "create_sample": f"llm_handler query instrumental=False vocal_language=None {text}",
        "format_sample": f"llm_handler caption lyrics user_metadata=None {text}",
    }

    for name, arguments in published.items():
        parameters = inspect.signature(getattr(inference, name)).parameters.values()
        shown = [
            each.name if each.default is each.empty else f"{each.name}={each.default!r}"
            for each in parameters
        ]
        assert shown == arguments.split(), name
