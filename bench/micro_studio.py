"""The family at work for `bench.micro`: the DiT service's own engine, and the language model by itself."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional
from transformers import DynamicCache, Qwen3Model

from common.music import INSTRUMENTAL_LYRICS, UNKNOWN_LANGUAGE
from dit_service.canvas import Region
from dit_service.defaults import OTHERS, TURBO
from dit_service.engine import Encoding, Keeping, Latents, RenderJob, SourceSound, Task, Waveform
from dit_service.engine import Song as Rendered
from dit_service.splice import splice
from dit_service.torch_engine import TorchEngine
from lm_service import prompt
from lm_service.metadata import Metadata
from lm_service.prompt import PromptLayout
from lm_service.vocabulary import Vocabulary
from training.sizes import CODE_COUNT
from training.song import Song

BASE_MODEL, TURBO_MODEL = "acestep-v15-base", "acestep-v15-turbo"
BASE_STEPS = 20
MOST_ANSWER = 200
"""Tokens of a description."""
TEMPERATURE = 0.85
KEPT = Keeping(held_share=0.5, latent_fade_frames=12, splices=True, sound_fade_s=0.025)
"""A repaint at the service's default strength."""


class Studio:
    """Renders without gRPC: what is measured is the models, by the code that serves them."""

    def __init__(self, models: Path) -> None:
        self._engine = TorchEngine.load(models, (TURBO_MODEL, BASE_MODEL), "cpu")

    def render(self, job: RenderJob) -> Waveform:
        for event in self._engine.render(job):
            if isinstance(event, Rendered):
                splice(event.waveform, job)
                return event.waveform
        raise RuntimeError("the engine ended without a song")

    def encode(self, waveform: Waveform) -> Encoding:
        for event in self._engine.encode(waveform, TURBO_MODEL, with_codes=True):
            if isinstance(event, Encoding):
                return event
        raise RuntimeError("the engine ended without an encoding")

    def decode(self, latents: Latents) -> Waveform:
        for event in self._engine.decode(latents, TURBO_MODEL):
            if isinstance(event, Rendered):
                return event.waveform
        raise RuntimeError("the engine ended without a song")


def text2music(song: Song, caption: str) -> RenderJob:
    """What a user asks who wants `song`: its caption and its metadata, from turbo at its defaults."""
    return RenderJob(
        model=TURBO_MODEL,
        task=Task.TEXT2MUSIC,
        instruction=None,
        caption=caption,
        lyrics=INSTRUMENTAL_LYRICS,
        language=UNKNOWN_LANGUAGE,
        bpm=song.bpm,
        keyscale=song.key.name,
        timesignature=str(song.meter),
        duration_s=song.duration_s,
        audio_codes=(),
        audio_cover_strength=1.0,
        seed=song.seed,
        diffusion=TURBO.defaults,
    )


def by_base(job: RenderJob, scale: float) -> RenderJob:
    diffusion = replace(OTHERS.defaults, inference_steps=BASE_STEPS, guidance_scale=scale, shift=3.0)
    return replace(job, model=BASE_MODEL, diffusion=diffusion)


def cover(job: RenderJob, codes: tuple[int, ...]) -> RenderJob:
    return replace(job, task=Task.COVER, audio_codes=codes)


def repaint(job: RenderJob, source: Waveform, start_s: float, end_s: float) -> RenderJob:
    return replace(
        job,
        task=Task.REPAINT,
        source=SourceSound(source),
        regions=(Region(start_s, end_s),),
        keeping=KEPT,
    )


def extract(job: RenderJob, source: Waveform, track: str, scale: float) -> RenderJob:
    wanted = replace(job, task=Task.EXTRACT, source=SourceSound(source), tracks=(track.upper(),))
    return by_base(wanted, scale)


class Reader:
    """The language model as a describer of codes, by greedy choice; the service's grammar is left out."""

    def __init__(self, folder: Path) -> None:
        self._network = Qwen3Model.from_pretrained(
            folder, dtype=torch.float32, local_files_only=True
        ).eval()
        self.vocabulary = Vocabulary.load(folder)
        self._window = self.vocabulary.code_window(CODE_COUNT)

    def understand(self, codes: tuple[int, ...]) -> dict[str, str]:
        """The fields of the description, as text."""
        asked = prompt.encode(prompt.understand(codes), self.vocabulary)
        text = self.vocabulary.decode(self._continued([asked], MOST_ANSWER, self.vocabulary.think_close))
        return dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)

    def compose(
        self, caption: str, known: Metadata, count: int, seed: int, guidance: float
    ) -> tuple[int, ...]:
        """`count` codes of a planned song, drawn with the service's prompts, guidance and temperature."""
        asked = [prompt.codes(caption, INSTRUMENTAL_LYRICS, known, PromptLayout.OPEN_TURN)]
        if guidance != 1:
            asked.append(prompt.codes_unconditional("", "", "", PromptLayout.OPEN_TURN))
        window, draw = self._window, torch.Generator().manual_seed(seed)

        def choose(scores: Tensor) -> int:
            shares = (scores[window.first : window.stop] / TEMPERATURE).softmax(0)
            return window.first + int(torch.multinomial(shares, 1, generator=draw))

        ids = [prompt.encode(one, self.vocabulary) for one in asked]
        return tuple(window.code(token) for token in self._continued(ids, count, None, choose, guidance))

    @torch.inference_mode()
    def _continued(
        self,
        asked: list[tuple[int, ...]],
        most: int,
        last: int | None,
        choose: Callable[[Tensor], int] = lambda scores: int(scores.argmax()),
        guidance: float = 1.0,
    ) -> list[int]:
        """A second prompt in `asked` is what guidance leads away from."""
        waiting, caches = list(asked), [DynamicCache() for _ in asked]
        found: list[int] = []
        while len(found) < most and last not in found:
            scores = []
            for tokens, cache in zip(waiting, caches, strict=True):
                state = self._network(
                    input_ids=torch.tensor([tokens]), past_key_values=cache, use_cache=True
                ).last_hidden_state[0, -1]
                scores.append(functional.linear(state, self._network.embed_tokens.weight))
            found.append(choose(torch.lerp(scores[-1], scores[0], guidance)))
            waiting = [(found[-1],)] * len(asked)
        return found
