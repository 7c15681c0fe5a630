"""The engine that owns the device."""

import logging
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from common.errors import AceError, Kind
from common.revision import Revision, of_checkpoint
from dit_service import conditions, flow, layout, memory, metrics, prompt, sampler
from dit_service.canvas import lay_out
from dit_service.denoise import Route, denoise
from dit_service.due import Due
from dit_service.engine import (
    Encoding,
    LaidSound,
    Latents,
    ModelCard,
    Phase,
    Piece,
    Progress,
    RenderJob,
    Song,
    SourceSound,
    Waveform,
)
from dit_service.hurry import hurried, hurry, hurry_texts, refuse_without_kernels
from dit_service.model_memory import needed_bytes, refuse_unless_they_fit
from dit_service.network.recorder import Recorder
from dit_service.network.transformer import DiffusionTransformer
from dit_service.networks import DitNetworks, load_dit, load_vae
from dit_service.passes import Pass
from dit_service.sent import sent
from dit_service.steering import Steering, working_frames
from dit_service.stopwatch import Stopwatch
from dit_service.text_encoder import MAX_LYRIC_TOKENS, MAX_TEXT_TOKENS, TextEncoder
from dit_service.vae import Vae

logger = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A DiT with what every render of it starts from."""

    networks: DitNetworks
    silent_timbre: Tensor
    """Timbre of no reference, `[1, 1, hidden]`: the same in every render."""


class TorchEngine:
    def __init__(
        self,
        models: dict[str, Loaded],
        text_encoder: TextEncoder,
        vae: Vae,
        device: torch.device,
        song_memory: int | None = None,
    ) -> None:
        """`song_memory` are bytes for all songs at once; `None` is no limit."""
        self._models = models
        self._text_encoder = text_encoder
        self.codec = vae
        self._device = device
        self._song_memory = song_memory
        self._beside = ThreadPoolExecutor(max_workers=1, thread_name_prefix="beside-device")
        if device.type == "cuda":
            metrics.MEMORY_BYTES.set_function(lambda: torch.cuda.memory_allocated(device))

    @classmethod
    def load(
        cls,
        folder: Path,
        names: tuple[str, ...],
        device_name: str,
        threads: int = 0,
        song_memory: int = 0,
        model_memory: int = 0,
        compiled: bool = False,
    ) -> "TorchEngine":
        """Read `names` and what they share from `folder`; the first is the default model.

        Networks compute in bfloat16 on a GPU and in float32 on a CPU; `threads` of 0 leaves
        torch its own number of CPU threads, and a memory of 0 all of a GPU that is free. On a GPU
        they may be `compiled`, which takes a while and makes them faster. Raises
        `CheckpointError` if a checkpoint is missing or not whole, if they do not fit into `model_memory`
        together, or if nothing can be compiled, `ValueError` for a device that is not there or full.
        """
        if threads:
            torch.set_num_threads(threads)
        device = torch.device(device_name)
        compiled = compiled and device.type == "cuda"
        _refuse_unusable(device)
        if compiled:
            refuse_without_kernels()
        dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
        if available := model_memory or _free(device):
            refuse_unless_they_fit(needed_bytes(folder, names, dtype, recorded=compiled), available)
        common = layout.shared(folder, names[0])
        text_encoder = TextEncoder.load(common.text_encoder, device, dtype, common.tokenizer)
        vae = Vae(of_checkpoint(common.vae), load_vae(common.vae, device, dtype))
        models = {name: prepared(load_dit(folder / name, device, dtype)) for name in names}
        if compiled:
            recorder = Recorder(device)
            vae = hurried(vae)
            hurry_texts(text_encoder, recorder)
            for model in models.values():
                hurry(model.networks, recorder)
        return cls(models, text_encoder, vae, device, song_memory or _free_for_songs(vae, device, dtype))

    @property
    def models(self) -> tuple[ModelCard, ...]:
        return tuple(
            ModelCard(model.networks.revision, model.networks.is_turbo, model.networks.code_count)
            for model in self._models.values()
        )

    @property
    def vae(self) -> Revision:
        return self.codec.revision

    @property
    def text_encoder(self) -> Revision:
        return self._text_encoder.revision

    @property
    def latent_channels(self) -> int:
        return self.codec.latent_channels

    def cuts(self, job: RenderJob) -> tuple[str, ...]:
        texts = (
            ("caption and metadata", prompt.text(job, prompt.instruction(job)), MAX_TEXT_TOKENS),
            ("lyrics", prompt.lyrics(job), MAX_LYRIC_TOKENS),
        )
        lengths = ((name, self._text_encoder.excess(text, most), most) for name, text, most in texts)
        return tuple(
            f"the last {excess} tokens of the {name} are not read: the model takes {most}"
            for name, excess, most in lengths
            if excess
        )

    def transformer(self, model: str) -> DiffusionTransformer:
        return self._models[model].networks.transformer

    def share(self, job: RenderJob) -> float:
        if self._song_memory is None:
            return 0.0
        transformer = self.transformer(job.model)
        needed = memory.song_bytes(job, transformer.sizes, transformer.dtype.itemsize)
        return memory.share(needed, self._song_memory)

    @torch.inference_mode()
    def render(self, job: RenderJob) -> Generator[Progress | Piece | Due | Song, None, None]:
        yield from self._surviving(self._rendered(job))

    @torch.inference_mode()
    def encode(
        self, waveform: Waveform, model: str, with_codes: bool
    ) -> Generator[Progress | Encoding, None, None]:
        yield from self._surviving(self._encoding(waveform, model if with_codes else None))

    @torch.inference_mode()
    def decode(
        self, source: Latents | tuple[int, ...], model: str
    ) -> Generator[Progress | Piece | Song, None, None]:
        yield from self._surviving(self._decoded(source, model))

    def _rendered(self, job: RenderJob) -> Generator[Progress | Piece | Due | Song, None, None]:
        watch = Stopwatch(self._device)
        sound = self._blank(job.frame_count)
        model = self._models[job.model]
        source = yield from self._source(model.networks, job)
        timbre = self._timbre(model, job.reference)
        path = Steering(model.networks, self._text_encoder, job, timbre).route(source)
        watch.lap(Phase.CONDITIONING)
        steps = 1 + self._source_tiles(job)
        yield Progress(Phase.CONDITIONING, steps, steps)
        latents = yield from self._denoised(model.networks, path, job, watch)
        yield from self._song(latents[:, : job.frame_count], sound, watch)

    def _encoding(
        self, waveform: Waveform, tokenizing_model: str | None
    ) -> Generator[Progress | Encoding, None, None]:
        source = SourceSound(waveform)
        latents = yield from self._encoded(source.on(lay_out(source.sample_count, ())))
        codes: list[int] = []
        if tokenizing_model is not None:
            codes = conditions.encode_codes(self._models[tokenizing_model].networks, latents)
        yield Encoding(latents[0].cpu().numpy(), tuple(codes))

    def _decoded(
        self, source: Latents | tuple[int, ...], model: str
    ) -> Generator[Progress | Piece | Song, None, None]:
        watch = Stopwatch(self._device)
        if isinstance(source, tuple):
            latents = conditions.decode_codes(self._models[model].networks, source)
        else:
            latents = torch.from_numpy(source)[None].to(self._device)
        yield from self._song(latents, self._blank(latents.shape[1]), watch)

    def _blank(self, frames: int) -> "Future[Waveform]":
        """Memory for so much sound. It is touched meanwhile: a first touch costs more than a copy."""
        return self._beside.submit(np.full, (frames * self.codec.samples_per_frame, 2), np.float32(0))

    def _source(self, networks: DitNetworks, job: RenderJob) -> Generator[Progress, None, Tensor | None]:
        """Latents of the canvas that the job works on, `[1, frames, channels]`."""
        if job.source is None:
            return None
        canvas = job.canvas
        if isinstance(job.source, SourceSound):
            return (yield from self._encoded(job.source.on(canvas), steps_to_follow=1))
        latents = torch.from_numpy(job.source.latents)[None].to(self._device)
        lead_frames = canvas.lead_samples // self.codec.samples_per_frame
        return conditions.lengthened(networks, latents, canvas.frame_count, lead_frames)

    def _source_tiles(self, job: RenderJob) -> int:
        if not isinstance(job.source, SourceSound):
            return 0
        return len(self.codec.encode_tiles(job.canvas.sample_count))

    def _timbre(self, model: Loaded, reference: Waveform | None) -> Tensor:
        if reference is None:
            return model.silent_timbre
        heard = torch.cat(list(self.codec.encode(reference)), dim=1)
        return conditions.timbre(model.networks, heard)

    def _denoised(
        self, networks: DitNetworks, path: Route, job: RenderJob, watch: Stopwatch
    ) -> Generator[Progress | Due, None, Tensor]:
        generator = torch.Generator().manual_seed(job.seed)
        frames, channels = working_frames(job), self.latent_channels

        def draw() -> Tensor:
            return sent(flow.noise(frames, channels, generator), self._device)

        latents, done = draw(), 0
        if (retake := job.diffusion.retake) is not None:
            other = flow.noise(frames, channels, torch.Generator().manual_seed(retake.seed))
            latents = sampler.varied(latents, other.to(self._device), retake.variance)
        for event in denoise(networks, path, job.diffusion, latents, draw):
            if isinstance(event, Pass):
                latest = event
                yield event
                continue
            latents, done = event, done + 1
            watch.lap(Phase.DIFFUSION)
            if done == path.step_count:
                latest.wait()  # so that it is told when it is so; others may be decoded meanwhile
            yield Progress(Phase.DIFFUSION, done, path.step_count)
        return latents

    def _song(
        self, latents: Tensor, sound: "Future[Waveform]", watch: Stopwatch
    ) -> Generator[Progress | Piece | Song, None, None]:
        """Decode latents `[1, frames, channels]` tile by tile, into `sound`."""
        total = len(self.codec.decode_tiles(latents.shape[1]))
        waveform, at = sound.result(), 0
        for done, piece in enumerate(self.codec.decode(latents), start=1):
            part = waveform[at : at + len(piece)]
            part[:] = piece.numpy()
            watch.lap(Phase.DECODING)
            yield Piece(at, part)
            at += len(piece)
            yield Progress(Phase.DECODING, done, total)
        yield Song(waveform, latents[0].float().cpu().numpy(), watch.seconds())

    def _encoded(self, sound: LaidSound, steps_to_follow: int = 0) -> Generator[Progress, None, Tensor]:
        """Latents `[1, frames, channels]` of `sound`, which has a frame at least."""
        total = len(self.codec.encode_tiles(len(sound))) + steps_to_follow
        pieces = []
        for done, piece in enumerate(self.codec.encode(sound), start=1):
            pieces.append(piece)
            yield Progress(Phase.CONDITIONING, done, total)
        return torch.cat(pieces, dim=1)

    def _surviving(self, steps: Generator[T, None, None]) -> Generator[T, None, None]:
        """Turn running out of memory into an answer, with the memory given back."""
        try:
            yield from steps
            return
        except torch.OutOfMemoryError:
            metrics.OUT_OF_MEMORY.inc()
        # Raised out here: an error that remembers the other one would keep its tensors alive.
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        raise AceError(
            Kind.OVERLOADED,
            "OUT_OF_MEMORY",
            "the device has no memory left for this; ask for less, or retry later",
            retry_after_s=10.0,
        )


def _refuse_unusable(device: torch.device) -> None:
    """Raises `ValueError`, before what fails for want of the device says something else."""
    try:
        torch.empty(1, device=device)
    except (AssertionError, RuntimeError) as error:  # the first is what torch without GPUs raises
        raise ValueError(f"device {device} cannot be used: {error}") from None


def _free(device: torch.device) -> int | None:
    """Bytes of a GPU."""
    if device.type != "cuda":
        return None
    torch.cuda.empty_cache()  # what torch only keeps, from compiling and trying, songs can have
    return torch.cuda.mem_get_info(device)[0]


def _free_for_songs(vae: Vae, device: torch.device, dtype: torch.dtype) -> int | None:
    """What a GPU has free beside the loaded models and a tile of the codec; no limit on a CPU."""
    if (free_bytes := _free(device)) is None:
        return None
    samples = max(vae.decode_tile_frames * vae.samples_per_frame, vae.encode_tile_samples)
    free_bytes -= memory.tile_bytes(samples, vae.network.config.decoder_channels, dtype.itemsize)
    return max(free_bytes, 1)


@torch.inference_mode()
def prepared(networks: DitNetworks) -> Loaded:
    """Compute once what every render without a reference shares."""
    logger.info("loaded %s (%s)", networks.revision.name, networks.revision.revision)
    silence = networks.silence[:, : networks.timbre_frames]
    return Loaded(networks, conditions.timbre(networks, silence))
