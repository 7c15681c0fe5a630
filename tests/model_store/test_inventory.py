"""The inventory says what is in a models folder, and what is missing."""

import json
from pathlib import Path

import pytest

from model_store import inventory
from model_store.inventory import Checkpoint
from model_store.released import RELEASED, Kind, Released, select


def put(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).write_text("12345")
    return folder


def only(models: Path) -> Checkpoint:
    (checkpoint,) = inventory.of_folder(models)
    return checkpoint


def test_a_complete_checkpoint(tmp_path: Path) -> None:
    put(tmp_path / "acestep-v15-turbo", "config.json", "model.safetensors", "silence_latent.pt")

    assert only(tmp_path) == Checkpoint("acestep-v15-turbo", Kind.DIT, 15, None, ())


def test_missing_files_are_named(tmp_path: Path) -> None:
    put(tmp_path / "acestep-v15-base", "config.json")

    assert only(tmp_path).missing == ("silence_latent.pt", "model.safetensors")


def test_every_part_that_an_index_names_is_needed(tmp_path: Path) -> None:
    folder = put(tmp_path / "acestep-v15-xl-turbo", "config.json", "silence_latent.pt", "a.safetensors")
    index = {"weight_map": {"x": "a.safetensors", "y": "b.safetensors", "z": "b.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))

    assert only(tmp_path).missing == ("b.safetensors",)


def test_the_fetched_revision_is_shown(tmp_path: Path) -> None:
    folder = put(tmp_path / "vae", "config.json", "diffusion_pytorch_model.safetensors")
    (folder / ".revision").write_text("abc\n")

    assert only(tmp_path).revision == "abc"


def put_pipeline(folder: Path, **without: str) -> None:
    """A checkpoint as diffusers writes it, `without` some files."""
    put(folder, "model_index.json")
    for part in ("transformer", "condition_encoder", "audio_tokenizer", "audio_token_detokenizer", "vae"):
        put(folder / part, "config.json", "diffusion_pytorch_model.safetensors")
    put(folder / "text_encoder", "config.json", "model.safetensors")
    put(folder / "tokenizer", "tokenizer.json", "tokenizer_config.json")
    for part, name in without.items():
        (folder / part / name).unlink()


def test_a_pipeline_of_diffusers_is_a_dit_with_what_it_needs(tmp_path: Path) -> None:
    put_pipeline(tmp_path / "my-music")

    found = inventory.of_folder(tmp_path)

    assert found == [
        Checkpoint("my-music", Kind.DIT, 40, None, ()),
        Checkpoint("my-music/vae", Kind.VAE, 10, None, ()),
        Checkpoint("my-music/text_encoder", Kind.TEXT_ENCODER, 20, None, ()),
    ]
    assert inventory.lacking(found) == [Kind.LM]
    assert inventory.codec_config(tmp_path, "my-music").is_file()


def test_what_a_pipeline_lacks_is_named_with_its_part(tmp_path: Path) -> None:
    put_pipeline(
        tmp_path / "my-music", audio_tokenizer="config.json", tokenizer="tokenizer.json", vae="config.json"
    )

    missing = {checkpoint.kind: checkpoint.missing for checkpoint in inventory.of_folder(tmp_path)}

    assert missing == {
        Kind.DIT: ("audio_tokenizer/config.json",),
        Kind.VAE: ("vae/config.json",),
        Kind.TEXT_ENCODER: ("tokenizer/tokenizer.json",),
    }


def test_other_folders_are_not_checkpoints(tmp_path: Path) -> None:
    put(tmp_path / "notes", "config.json")
    put(tmp_path / ".partial", "config.json")

    assert inventory.of_folder(tmp_path) == []
    assert inventory.of_folder(tmp_path / "nowhere") == []


def test_an_incomplete_checkpoint_does_not_count_for_a_system(tmp_path: Path) -> None:
    put(tmp_path / "vae", "config.json", "diffusion_pytorch_model.safetensors")
    put(tmp_path / "acestep-v15-turbo", "config.json")

    assert inventory.lacking(inventory.of_folder(tmp_path)) == [Kind.LM, Kind.DIT, Kind.TEXT_ENCODER]


def test_a_set_stands_for_a_complete_system() -> None:
    assert {checkpoint.kind for checkpoint in select(["turbo"])} == set(Kind)


def test_checkpoints_named_twice_are_chosen_once() -> None:
    names = [checkpoint.name for checkpoint in select(["turbo", "vae", "acestep-v15-base"])]

    assert len(names) == len(set(names)) == 5


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(KeyError, match="acestep-v16"):
        select(["acestep-v16"])


@pytest.mark.parametrize("checkpoint", RELEASED.values(), ids=lambda checkpoint: checkpoint.name)
def test_every_released_checkpoint_is_pinned_to_a_commit(checkpoint: Released) -> None:
    assert len(checkpoint.revision) == 40
    assert int(checkpoint.revision, 16)
