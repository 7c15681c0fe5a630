"""`python -m dit_service` from its environment to a song, and to its end."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import numpy as np
import pytest
import torch
from grpc_health.v1 import health_pb2, health_pb2_grpc

from acestep.dit.v1 import dit_service_pb2 as pb
from acestep.dit.v1 import dit_service_pb2_grpc as dit_grpc
from acestep.music.v1 import music_pb2
from common.settings import SettingsError, load
from dit_service import hurry
from dit_service.checkpoint import CheckpointError, read_tensors
from dit_service.model_memory import needed_bytes, refuse_unless_they_fit
from dit_service.network.recordings import Desk
from dit_service.networks import load_dit
from dit_service.settings import Device, Settings
from dit_service.torch_engine import TorchEngine
from tests.dit.conftest import CPU
from tests.dit.golden import CHECKPOINTS, MODELS

ROOT = Path(__file__).parent.parent.parent


@asynccontextmanager
async def started(**settings: str) -> AsyncIterator[asyncio.subprocess.Process]:
    environment = {f"ACESTEP_DIT_{name.upper()}": value for name, value in settings.items()}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "dit_service"), cwd=ROOT, env=environment, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def port_of(process: asyncio.subprocess.Process) -> int:
    assert process.stderr is not None
    async for line in process.stderr:
        if b"ready on port" in line:
            return int(line.split()[-1])
    raise AssertionError("the service ended before it was ready")


async def test_the_service_starts_makes_a_song_and_stops() -> None:
    settings = {
        "models": str(CHECKPOINTS),
        "loaded_models": "acestep-v15-turbo,acestep-v15-xl-turbo",
        "address": "localhost:0",
        "metrics_port": "0",
        "log_format": "text",
        "threads": "1",
    }
    async with started(**settings) as process:
        port = await port_of(process)
        async with grpc.aio.insecure_channel(f"localhost:{port}") as channel:
            health = health_pb2_grpc.HealthStub(channel)
            answer = await health.Check(health_pb2.HealthCheckRequest(service="acestep.dit.v1.DitService"))
            events = [event async for event in dit_grpc.DitServiceStub(channel).Render(ten_seconds())]
        process.send_signal(signal.SIGTERM)
        code = await asyncio.wait_for(process.wait(), 20)

    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    sound = np.frombuffer(b"".join(event.audio.samples for event in events), "<f4")
    assert sound.size == 10 * 48_000 * 2
    assert np.abs(sound).max() == pytest.approx(10 ** (-1 / 20), rel=1e-5)
    assert code == 0


async def ten_seconds() -> AsyncIterator[pb.RenderRequest]:
    metadata = music_pb2.SongMetadata(caption="slow piano", duration_seconds=10)
    yield pb.RenderRequest(job=pb.RenderJob(metadata=metadata, model="acestep-v15-xl-turbo"))


async def test_a_model_that_is_not_there_stops_the_service() -> None:
    settings = {"models": str(CHECKPOINTS), "loaded_models": "acestep-v15-sft"}
    async with started(**settings, address="localhost:0", metrics_port="0") as process:
        _, errors = await asyncio.wait_for(process.communicate(), 120)

    assert process.returncode == 1
    assert b"acestep-v15-sft" in errors


async def test_models_that_do_not_fit_into_their_memory_are_refused_before_any_is_read() -> None:
    settings = {"models": str(CHECKPOINTS), "loaded_models": "acestep-v15-turbo,acestep-v15-base"}
    memory = {"max_model_memory": "1000000", "address": "localhost:0", "metrics_port": "0"}
    async with started(**settings, **memory) as process:
        _, errors = await asyncio.wait_for(process.communicate(), 120)

    told = errors.decode()
    assert process.returncode == 1
    assert "acestep-v15-turbo 2.05 MiB, acestep-v15-base" in told
    assert "0.95 MiB are there for them: load fewer (loaded_models)" in told
    assert "Traceback" not in told


def test_the_memory_of_models_is_told_by_their_headers() -> None:
    needed = needed_bytes(CHECKPOINTS, (MODELS["turbo"], MODELS["xl"]), torch.float32, recorded=False)

    for name in (MODELS["turbo"], MODELS["xl"]):
        tensors = read_tensors(CHECKPOINTS / name)
        assert needed[name] == 4 * sum(tensor.numel() for tensor in tensors.values())
    refuse_unless_they_fit(needed, sum(needed.values()))
    with pytest.raises(CheckpointError, match="audio codec"):
        refuse_unless_they_fit(needed, sum(needed.values()) - 1)


def test_what_recorded_passes_read_from_counts_as_memory_of_models() -> None:
    names = (MODELS["turbo"], MODELS["xl"])

    plain = needed_bytes(CHECKPOINTS, names, torch.bfloat16, recorded=False)
    recorded = needed_bytes(CHECKPOINTS, names, torch.bfloat16, recorded=True)

    assert recorded.items() > plain.items()
    for name in names:
        desk = Desk(load_dit(CHECKPOINTS / name, CPU, torch.bfloat16).transformer)
        assert recorded[f"recordings of {name}"] > desk.keys.nbytes + desk.values.nbytes


def test_a_machine_that_cannot_build_kernels_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hurry, "why_no_kernels", lambda: "Failed to find C compiler")

    with pytest.raises(CheckpointError, match=r"Failed to find C compiler.*compile=false"):
        hurry.refuse_without_kernels()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there_is_told_as_such() -> None:
    with pytest.raises(ValueError, match="device cuda cannot be used"):
        TorchEngine.load(CHECKPOINTS, (MODELS["turbo"],), "cuda", compiled=True)


def test_settings_have_defaults_for_all_but_the_models() -> None:
    settings = load(Settings, "ACESTEP_DIT", {"ACESTEP_DIT_MODELS": "/models"})

    assert settings.loaded_models == ("acestep-v15-turbo",)
    assert settings.address == "0.0.0.0:50052"
    assert (settings.metrics_port, settings.max_queued) == (9052, 64)
    assert settings.device is Device.CPU


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MODELS", None),
        ("LOADED_MODELS", ""),
        ("LOADED_MODELS", "a,a"),
        ("DEVICE", "tpu"),
        ("MAX_QUEUED", "-1"),
        ("MAX_CALLS", "0"),
        ("MAX_UPLOAD_BYTES", "0"),
        ("THREADS", "many"),
        ("STEPS", "8"),
    ],
)
def test_settings_that_make_no_sense_are_named(name: str, value: str | None) -> None:
    environment = {"ACESTEP_DIT_MODELS": "/models", f"ACESTEP_DIT_{name}": value}

    with pytest.raises(SettingsError, match=rf"(?i){name}"):
        load(Settings, "ACESTEP_DIT", {key: text for key, text in environment.items() if text is not None})
