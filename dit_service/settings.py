"""Everything an operator can set, in one place. Environment: `ACESTEP_DIT_*`."""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from common.exposure import Exposure
from common.telemetry import LogFormat


class Device(Enum):
    CPU = "cpu"
    CUDA = "cuda"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(Exposure):
    models: Path
    """Folder that holds the checkpoints' folders. Required."""

    loaded_models: tuple[str, ...] = ("acestep-v15-turbo",)
    """DiT checkpoints to load, comma separated; the first is the default."""

    address: str = "0.0.0.0:50052"
    """Where to listen, as gRPC spells it."""

    metrics_host: str = "0.0.0.0"
    """Address that the metrics are served on."""

    metrics_port: int = 9052
    """HTTP port of Prometheus metrics; 0 for none."""

    device: Device = Device.CPU
    """`cpu` or `cuda`. An absent device is an error, never a silent fall-back."""

    threads: int = 0
    """CPU threads that networks use; 0 leaves the choice to torch."""

    compile: bool = True
    """On a GPU, compile the networks' layers and replay small passes as CUDA graphs, which takes a minute
    the first time, and 0.6 GiB of memory for each 2B model. That needs a C compiler. `false` is slower, but
    ready at once."""

    compile_cache: Path | None = None
    """Folder that keeps what was compiled, so that the next start need not wait for it. Default: where
    torch keeps it, which in a container is gone with it."""

    max_batch: int = 0
    """Songs that are rendered at once, their steps together. 0 is 16 on a GPU and 1 on a CPU, where
    that gains little and makes every song of a batch as late as the last."""

    max_song_memory: int = 0
    """Bytes of device memory for songs; more wait. 0 is what is free on a GPU once the models are
    loaded, and no limit on a CPU."""

    max_model_memory: int = 0
    """Bytes that the loaded models may take together; more are refused at the start, before any is
    read. 0 is what is free on a GPU, and no limit on a CPU."""

    max_queued: int = 64
    """Jobs that may wait for the device; more are refused."""

    max_calls: int = 128
    """Calls at once, those included whose finished audio is still being read. Each may hold a
    song or a file in memory: 230 MB for ten minutes."""

    max_upload_bytes: int = 256 * 1024 * 1024
    """Size of an uploaded file; ten minutes of 48 kHz float stereo have 230 MB."""

    log_format: LogFormat = LogFormat.JSON
    """`json` or `text`."""

    log_level: str = "INFO"
    """Lowest level that is logged."""

    grace_s: float = 30.0
    """Seconds that calls get to finish when the service is told to stop."""

    @property
    def songs_at_once(self) -> int:
        return self.max_batch or (1 if self.device is Device.CPU else 16)

    def __post_init__(self) -> None:
        if not self.loaded_models:
            raise ValueError("loaded_models is empty; name at least one model")
        if len(set(self.loaded_models)) < len(self.loaded_models):
            raise ValueError(f"loaded_models names a model twice: {', '.join(self.loaded_models)}")
        for name, least in (
            ("threads", 0),
            ("metrics_port", 0),
            ("max_batch", 0),
            ("max_song_memory", 0),
            ("max_model_memory", 0),
            ("max_queued", 0),
            ("max_calls", 1),
            ("max_upload_bytes", 1),
            ("grace_s", 0),
        ):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least {least}")
