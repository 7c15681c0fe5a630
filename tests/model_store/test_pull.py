"""Fetching goes on where it stopped, checks every byte, and says in one line what is wrong."""

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub.constants import DOWNLOAD_CHUNK_SIZE

from common import revision
from common.errors import AceError, Kind
from model_store.hub import Hub
from model_store.pull import Puller
from model_store.released import MAIN_REPOSITORY, RELEASED
from tests.model_store.hub_server import REVISION, HubServer, hub_of

BASE = RELEASED["acestep-v15-base"]
VAE = RELEASED["vae"]
WEIGHTS = random.Random(0).randbytes(3_000_000)
BASE_FILES = {
    "config.json": b'{"is_turbo": false}\n',
    "model.safetensors": WEIGHTS,
    "silence_latent.pt": b"silence",
    "modeling_acestep_v15_base.py": b"print('never fetched')\n",
    "README.md": b"# Base\n",
}
MAIN_FILES = {
    "vae/config.json": b"{}\n",
    "vae/diffusion_pytorch_model.safetensors": b"sound",
    "acestep-v15-turbo/model.safetensors": b"another checkpoint",
    "config.json": b"{}\n",
}


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with hub_of({BASE.repository: dict(BASE_FILES), MAIN_REPOSITORY: dict(MAIN_FILES)}) as server:
        yield server


class Notes:
    """A reporter that remembers."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.present = 0
        self.received = 0

    def checkpoint(self, name: str, revision: str, total_bytes: int, present_bytes: int) -> None:
        self.present += present_bytes

    def advance(self, name: str, received_bytes: int) -> None:
        self.received += received_bytes

    def note(self, text: str) -> None:
        self.notes.append(text)


def pull(hub: HubServer, models: Path, *names: str, at: str | None = REVISION) -> Notes:
    notes = Notes()
    chosen = [RELEASED[name] for name in names or (BASE.name,)]
    Puller(Hub(hub.endpoint), models, notes).pull(chosen, at)
    return notes


def refused(hub: HubServer, models: Path, *names: str, at: str | None = REVISION) -> AceError:
    with pytest.raises(AceError) as caught:
        pull(hub, models, *names, at=at)
    assert "\n" not in caught.value.message
    return caught.value


def fetched(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_checkpoint_of_its_own_repository_goes_into_its_folder(hub: HubServer, tmp_path: Path) -> None:
    notes = pull(hub, tmp_path)

    folder = tmp_path / BASE.name
    assert fetched(folder) == {"config.json", "model.safetensors", "silence_latent.pt", ".revision"}
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert revision.of_checkpoint(folder).revision == REVISION
    assert notes.received == sum(len(BASE_FILES[name]) for name in fetched(folder) - {".revision"})


def test_only_the_asked_folder_of_the_main_repository_is_fetched(hub: HubServer, tmp_path: Path) -> None:
    pull(hub, tmp_path, VAE.name)

    assert fetched(tmp_path / "vae") == {"config.json", "diffusion_pytorch_model.safetensors", ".revision"}
    assert not (tmp_path / "acestep-v15-turbo").exists()


def test_a_broken_line_is_taken_up_near_where_it_broke(hub: HubServer, tmp_path: Path) -> None:
    large = random.Random(1).randbytes(2 * DOWNLOAD_CHUNK_SIZE)
    hub.repositories[BASE.repository] = {"model.safetensors": large}
    hub.cut_after["model.safetensors"] = [DOWNLOAD_CHUNK_SIZE + 1_000_000]

    notes = pull(hub, tmp_path)

    assert (tmp_path / BASE.name / "model.safetensors").read_bytes() == large
    assert hub.asked[1:] == [("model.safetensors", f"bytes={DOWNLOAD_CHUNK_SIZE}-")]
    assert notes.received == len(large)


def test_what_arrived_damaged_is_fetched_anew_by_the_next_pull(hub: HubServer, tmp_path: Path) -> None:
    hub.damaged.add("model.safetensors")
    refused(hub, tmp_path)
    hub.damaged.clear()

    pull(hub, tmp_path)

    assert (tmp_path / BASE.name / "model.safetensors").read_bytes() == WEIGHTS


def test_a_checkpoint_that_was_replaced_half_way_passes_for_no_revision(
    hub: HubServer, tmp_path: Path
) -> None:
    folder = tmp_path / BASE.name
    folder.mkdir()
    for name in ("config.json", "model.safetensors", ".revision"):
        (folder / name).write_bytes(b"older")
    hub.broken.add("model.safetensors")

    refused(hub, tmp_path)

    assert (folder / "config.json").read_bytes() == BASE_FILES["config.json"]
    assert revision.of_checkpoint(folder).revision.startswith("sha256:")


def test_an_interrupted_pull_is_continued_by_the_next(hub: HubServer, tmp_path: Path) -> None:
    partial = tmp_path / ".partial" / BASE.name
    partial.mkdir(parents=True)
    listed = Hub(hub.endpoint).listing(BASE.repository, REVISION).files
    digest = next(file.sha256 for file in listed if file.path == "model.safetensors")
    (partial / f"model.safetensors.{digest}").write_bytes(WEIGHTS[:2_000_000])

    pull(hub, tmp_path)

    assert (tmp_path / BASE.name / "model.safetensors").read_bytes() == WEIGHTS
    assert [asked for path, asked in hub.asked if path == "model.safetensors"] == ["bytes=2000000-"]
    assert not (tmp_path / ".partial").exists()


def test_what_was_received_survives_a_failing_hub(hub: HubServer, tmp_path: Path) -> None:
    hub.broken = {"silence_latent.pt"}
    error = refused(hub, tmp_path)
    hub.broken, hub.asked = set(), []

    pull(hub, tmp_path)

    assert (error.kind, error.reason) == (Kind.UNAVAILABLE, "HUB_REFUSED")
    assert "silence_latent.pt" in error.message
    assert "500" in error.message
    assert hub.asked == [("silence_latent.pt", None)]


def test_a_complete_checkpoint_is_not_fetched_again(hub: HubServer, tmp_path: Path) -> None:
    pull(hub, tmp_path)
    hub.asked = []

    pull(hub, tmp_path)

    assert hub.asked == []


def test_a_damaged_file_on_disk_is_named_and_fetched_again(hub: HubServer, tmp_path: Path) -> None:
    pull(hub, tmp_path)
    damaged = tmp_path / BASE.name / "model.safetensors"
    damaged.write_bytes(bytes(len(WEIGHTS)))

    notes = pull(hub, tmp_path)

    assert len(notes.notes) == 1
    assert f"{BASE.name}/model.safetensors" in notes.notes[0]
    assert damaged.read_bytes() == WEIGHTS


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_bytes_damaged_on_the_way_are_refused_by_name(hub: HubServer, tmp_path: Path, name: str) -> None:
    hub.damaged = {name}

    error = refused(hub, tmp_path)

    assert error.reason == "CHECKSUM_MISMATCH"
    assert f"{BASE.name}/{name}" in error.message
    assert not (tmp_path / BASE.name / name).exists()


def test_the_lock_records_what_was_fetched(hub: HubServer, tmp_path: Path) -> None:
    pull(hub, tmp_path, BASE.name, VAE.name)

    locked = json.loads((tmp_path / "models.lock.json").read_text())

    assert locked.keys() == {BASE.name, "vae"}
    assert locked[BASE.name]["revision"] == REVISION
    assert locked[BASE.name]["sha256"].keys() == {"config.json", "model.safetensors", "silence_latent.pt"}


def test_a_later_pull_takes_the_locked_revision_not_the_pinned_one(hub: HubServer, tmp_path: Path) -> None:
    pull(hub, tmp_path)

    pull(hub, tmp_path, at=None)

    assert BASE.revision != REVISION
    assert revision.of_checkpoint(tmp_path / BASE.name).revision == REVISION


def test_without_a_lock_the_pinned_revision_is_asked_for(hub: HubServer, tmp_path: Path) -> None:
    error = refused(hub, tmp_path, at=None)

    assert (error.kind, error.reason) == (Kind.NOT_FOUND, "HUB_NOT_FOUND")
    assert BASE.revision in error.message


def test_a_hub_that_changes_a_locked_revision_is_not_trusted(hub: HubServer, tmp_path: Path) -> None:
    pull(hub, tmp_path)
    hub.repositories[BASE.repository]["model.safetensors"] = b"something else"

    error = refused(hub, tmp_path)

    assert error.reason == "CHECKSUM_MISMATCH"
    assert "models.lock.json" in error.message
    assert (tmp_path / BASE.name / "model.safetensors").read_bytes() == WEIGHTS


def test_an_unknown_repository_is_not_found(hub: HubServer, tmp_path: Path) -> None:
    error = refused(hub, tmp_path, "acestep-v15-sft")

    assert error.kind is Kind.NOT_FOUND
    assert "ACE-Step/acestep-v15-sft" in error.message


def test_a_pull_that_cannot_fit_does_not_begin(hub: HubServer, tmp_path: Path) -> None:
    hub.announced_bytes["model.safetensors"] = 10**16

    error = refused(hub, tmp_path)

    assert error.reason == "NO_SPACE"
    assert "10000000.0 GB to fetch" in error.message
    assert hub.asked == []


def test_being_offline_is_said_plainly(tmp_path: Path) -> None:
    with hub_of({}) as server:
        pass  # its port is closed now

    error = refused(server, tmp_path)

    assert (error.kind, error.reason) == (Kind.UNAVAILABLE, "HUB_UNREACHABLE")
    assert "are you online" in error.message
