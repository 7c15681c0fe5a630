"""What a DiT engine is to the rest of the service. Knows no gRPC, no asyncio and no torch."""

from collections.abc import Generator
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

import numpy as np
import numpy.typing as npt

from common.music import SAMPLE_RATE_HZ
from common.revision import Revision
from dit_service.canvas import SAMPLES_PER_FRAME, Canvas, Region, lay_out
from dit_service.due import Due

Waveform = npt.NDArray[np.float32]
"""Audio as `[samples, 2]` float32 at `SAMPLE_RATE_HZ`."""

Latents = npt.NDArray[np.float32]
"""Latents of the audio codec as `[frames, channels]` float32 at `LATENT_RATE_HZ`."""

FRAMES_PER_CODE = 5


class Task(Enum):
    TEXT2MUSIC = "text2music"
    COVER = "cover"
    REPAINT = "repaint"
    LEGO = "lego"
    EXTRACT = "extract"
    COMPLETE = "complete"


class InferMethod(Enum):
    ODE = "ode"
    SDE = "sde"


class SamplerMode(Enum):
    EULER = "euler"
    HEUN = "heun"


class CorrectionMode(Enum):
    """Which changes over time a correction moves."""

    LOW = "low"
    HIGH = "high"
    DOUBLE = "double"
    PIX = "pix"


class Phase(Enum):
    CONDITIONING = "conditioning"
    DIFFUSION = "diffusion"
    DECODING = "decoding"


@dataclass(frozen=True, slots=True)
class WaveletCorrection:
    """How far each step is moved away from the music that it saw (DCW)."""

    mode: CorrectionMode = CorrectionMode.DOUBLE
    scaler: float = 0.05
    high_scaler: float = 0.02
    """That of fast changes in `DOUBLE`."""


@dataclass(frozen=True, slots=True)
class Retake:
    """A song near another one: its noise is between that of its own seed and that of a second."""

    seed: int
    variance: float
    """0 is the song itself, 1 the one of the second seed."""


@dataclass(frozen=True, slots=True)
class Diffusion:
    """How a diffusion runs. Complete and valid: the engine has no defaults of its own."""

    inference_steps: int
    guidance_scale: float
    use_adg: bool
    cfg_interval_start: float
    cfg_interval_end: float
    shift: float
    infer_method: InferMethod
    timesteps: tuple[float, ...] = ()
    """Times to visit, strictly down to 0; empty lets `inference_steps` and `shift` decide."""
    sampler_mode: SamplerMode = SamplerMode.EULER
    velocity_norm_threshold: float = 0.0
    """Most that a velocity may be, as a share of the latents' norm; 0 is no limit."""
    velocity_ema_factor: float = 0.0
    """Share of the step before in each velocity."""
    correction: WaveletCorrection | None = None
    retake: Retake | None = None


@dataclass(frozen=True, slots=True)
class SourceSound:
    """Music to work on, as sound."""

    waveform: Waveform = field(compare=False)

    @property
    def sample_count(self) -> int:
        return len(self.waveform)

    def on(self, canvas: Canvas) -> "LaidSound":
        return LaidSound(self.waveform, canvas.lead_samples, canvas.sample_count)


@dataclass(frozen=True, slots=True)
class LaidSound:
    """Sound with silence around it, which takes no memory. Sliced, it gives its samples."""

    waveform: Waveform
    lead_samples: int
    sample_count: int

    def __len__(self) -> int:
        return self.sample_count

    def __getitem__(self, window: slice) -> Waveform:
        first, last, _ = window.indices(self.sample_count)
        start, stop = (min(max(at - self.lead_samples, 0), len(self.waveform)) for at in (first, last))
        before = min(max(self.lead_samples - first, 0), last - first)
        after = last - first - before - (stop - start)
        return np.pad(self.waveform[start:stop], ((before, after), (0, 0)))


@dataclass(frozen=True, slots=True)
class SourceLatents:
    """Music to work on, as latents: nobody has its samples."""

    latents: Latents = field(compare=False)

    @property
    def sample_count(self) -> int:
        return len(self.latents) * SAMPLES_PER_FRAME


@dataclass(frozen=True, slots=True)
class Keeping:
    """How a repaint keeps what surrounds its regions."""

    held_share: float
    """Share of the steps after which the surroundings are put back."""
    latent_fade_frames: int
    """Length of the ramps to the source's latents; 0 leaves the latents as they are."""
    splices: bool
    """Whether the samples outside are the source's own."""
    sound_fade_s: float
    """Length of the ramps to the source's samples."""


@dataclass(frozen=True, slots=True)
class RenderJob:
    """One song to render. Complete and valid."""

    model: str
    task: Task
    """A song that follows codes is a cover."""
    instruction: str | None
    """Replaces what the task tells the model."""
    caption: str
    lyrics: str
    language: str
    bpm: int | None
    keyscale: str | None
    timesignature: str | None
    duration_s: float
    """What the prompt says; what is rendered too if there are neither codes nor a source."""
    audio_codes: tuple[int, ...]
    """What the song follows and how long it is, if not empty."""
    audio_cover_strength: float
    """Share of the steps in which the codes or the source of a cover guide."""
    seed: int
    diffusion: Diffusion
    reference: Waveform | None = field(default=None, compare=False)
    """Sound whose timbre the song takes: an excerpt, as `reference` makes it."""
    tracks: tuple[str, ...] = ()
    """Names of tracks, as the model knows them."""
    regions: tuple[Region, ...] = ()
    """What is made anew; all of it if empty."""
    keeping: Keeping | None = None
    """For a repaint."""
    cover_noise_strength: float = 0.0
    """How near to the source a cover begins: 0 from noise, 1 from the source itself."""
    source: SourceSound | SourceLatents | None = None
    """What is worked on. As long as it has not arrived, the job is not complete."""

    @property
    def canvas(self) -> Canvas:
        """Where the job works. Only with a source."""
        if self.source is None:
            raise ValueError("a job without a source has no canvas")
        return lay_out(self.source.sample_count, self.regions)

    @property
    def frame_count(self) -> int:
        """Length of the song in latent frames (spec dit.md 2.5)."""
        if self.source is not None:
            return self.canvas.frame_count
        if self.audio_codes:
            return FRAMES_PER_CODE * len(self.audio_codes)
        return int(max(0.1, round(self.duration_s, 1)) * SAMPLE_RATE_HZ) // SAMPLES_PER_FRAME


@dataclass(frozen=True, slots=True)
class Progress:
    phase: Phase
    step_count: int
    total_step_count: int

    @property
    def ends_phase(self) -> bool:
        return self.step_count == self.total_step_count


@dataclass(frozen=True, slots=True)
class Piece:
    """Sound as it is decoded: a part of the song to come, which shares its memory."""

    first_sample: int
    waveform: Waveform


@dataclass(frozen=True, slots=True)
class Song:
    """Decoded sound, before anything is done to its level."""

    waveform: Waveform
    latents: Latents
    seconds: dict[Phase, float]
    """Time spent by phase."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """What an audio file is to the models."""

    latents: Latents
    codes: tuple[int, ...]
    """One for five frames; empty if not asked for."""


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What the rest of the service knows of a loaded model."""

    revision: Revision
    is_turbo: bool
    code_count: int


class Engine(Protocol):
    """Generators block between yields. Closing one frees what its job holds.

    They raise `AceError`: OVERLOADED if the device has no memory left for the job, INTERNAL if
    the networks produced no usable latents.
    """

    @property
    def models(self) -> tuple[ModelCard, ...]:
        """The loaded models; the first is the default."""
        ...

    @property
    def vae(self) -> Revision: ...

    @property
    def text_encoder(self) -> Revision: ...

    @property
    def latent_channels(self) -> int: ...

    def cuts(self, job: RenderJob) -> tuple[str, ...]:
        """What of the job's texts is too long for the model to read, in words. Needs no device."""
        ...

    def share(self, job: RenderJob) -> float:
        """How much of the memory for songs a render takes, up to 1. Raises `AceError` (PRECONDITION)."""
        ...

    def render(self, job: RenderJob) -> Generator[Progress | Piece | Due | Song, None, None]:
        """One `Progress` per step of each phase, then one `Song`.

        Steps of diffusion are first `Due`; those of decoding follow their `Piece`.
        """
        ...

    def encode(
        self, waveform: Waveform, model: str, with_codes: bool
    ) -> Generator[Progress | Encoding, None, None]:
        """One `Progress` per tile, then one `Encoding`."""
        ...

    def decode(
        self, source: Latents | tuple[int, ...], model: str
    ) -> Generator[Progress | Piece | Song, None, None]:
        """Decode latents, or the codes of `model`: a `Piece` and a `Progress` per tile, then a `Song`."""
        ...
