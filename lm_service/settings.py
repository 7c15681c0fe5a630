"""Everything an operator can set, in one place. Environment: `ACESTEP_LM_*`."""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from common.exposure import Exposure
from common.telemetry import LogFormat
from lm_service.prompt import PromptLayout

DIT_CONFIG = Path("acestep-v15-turbo", "config.json")


class Device(Enum):
    """What computes. An absent device is an error, never a silent fall-back."""

    CPU = "cpu"
    """float32."""
    CUDA = "cuda"
    """bfloat16, with CUDA graphs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(Exposure):
    models: Path
    """Folder that holds the checkpoints. Required."""

    model: str | None = None
    """Name of the checkpoint's folder. Default: `acestep-5Hz-lm-1.7B`, else the first by name."""

    codec_config: Path | None = None
    """The `config.json` that says how large the code book is. Default: the turbo DiT's in `models`."""

    address: str = "0.0.0.0:50051"
    """Where to listen, as gRPC spells it."""

    metrics_host: str = "0.0.0.0"
    """Address that the metrics are served on."""

    metrics_port: int = 9051
    """Port of the Prometheus metrics; 0 for none."""

    device: Device = Device.CPU
    """Where the model runs: `cpu` or `cuda`."""

    batch_invariant: bool = False
    """On a GPU, seeds draw the same codes whatever shares a batch, for slower steps. On a CPU always."""

    cpu_threads: int | None = None
    """Threads for computing on a CPU. Default: half of the cores."""

    max_model_len: int = 8192
    """Prompt and output together are at most this many tokens."""

    max_rows: int = 16
    """Rows of the continuous batch; a guided request takes two."""

    max_queued: int = 64
    """Requests that may wait for rows before more are refused."""

    max_text_tokens: int = 3500
    """Most tokens of a plan or a description. Source of the default: spec lm.md 4.5."""

    kv_cache_gib: float = 4.0
    """Memory for keys and values. A guided request of full length must fit."""

    stall_s: float = 60.0
    """If the engine writes no token for so long, the requests that it works on have failed."""

    prompt_layout: PromptLayout = PromptLayout.OPEN_TURN
    """How prompts for codes end: `open`, as trained, or `closed`, as the first release had it."""

    log_format: LogFormat = LogFormat.JSON
    """`json` or `text`."""

    log_level: str = "INFO"
    """Least level that is logged."""

    grace_s: float = 30.0
    """At a stop, calls in flight get so long to finish."""

    def __post_init__(self) -> None:
        for name in ("max_model_len", "max_rows", "max_text_tokens"):
            if getattr(self, name) < 2:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 2")
        for name in ("kv_cache_gib", "stall_s"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be above 0")
        if self.cpu_threads is not None and self.cpu_threads < 1:
            raise ValueError(f"cpu_threads is {self.cpu_threads}; it must be at least 1")
        if self.max_queued < 0 or self.grace_s < 0:
            raise ValueError("max_queued and grace_s must not be negative")

    @property
    def codec_config_path(self) -> Path:
        return self.codec_config or self.models / DIT_CONFIG
