"""Train the audio codec: `python -m training.vae --out FOLDER --minutes 6`.

With `--resume FOLDER --decoder` only the decoder goes on: its latents stay what other stages learnt.
"""

import argparse
from collections.abc import Callable, Sequence
from itertools import repeat
from pathlib import Path

import torch
from diffusers import AutoencoderOobleck
from torch import Tensor, nn

from common.music import LATENT_RATE_HZ, SAMPLE_RATE_HZ
from training import marks, oobleck, spectral
from training.budget import Budget, Journal, learning_rate
from training.compose import compose
from training.sizes import LATENT_CHANNELS
from training.songs import TRAINING_SEEDS, groups, rendered
from training.synth import Synth

SONG_S = 12.0
FRAME = SAMPLE_RATE_HZ // LATENT_RATE_HZ
CROP_FRAMES = 24
EDGE_FRAMES = 2
"""At both ends of a crop, where the codec hears silence that is not in the song: not compared."""
LEARNING_RATE = 1e-3
KL_WEIGHT = 2e-4
WAVE_WEIGHT = 2.0
MARKS_WEIGHT = 0.6
DECODER_NOISE = 0.3
"""Of latents with a spread of 1, at most, while only the decoder trains: the DiT's latents are not exact,
and what is wrong with them should not be heard as noise."""
VALIDATION_SEEDS = range(12)

Codec = Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]
"""Sound to the sound that is made of it, and to the latents' means and spreads."""


class Crops:
    """Pieces of rendered songs: of whole mixes, and of some of their stems."""

    def __init__(self, stems: Tensor, marked: Tensor, seed: int) -> None:
        """`[songs, tracks, 2, samples]` and `[songs, frames, marks]`."""
        self._stems, self._marks = stems, marked
        self._device = stems.device
        self._draw = torch.Generator().manual_seed(seed)

    def batch(self, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """Sounds `[count, 2, samples]`, their marks, and which of them are whole mixes and have any."""
        songs = torch.randint(len(self._stems), (count,), generator=self._draw)
        starts = torch.randint(self._marks.shape[1] - CROP_FRAMES, (count,), generator=self._draw)
        pieces = [
            self._stems[song, :, :, at * FRAME : (at + CROP_FRAMES) * FRAME]
            for song, at in zip(songs.tolist(), starts.tolist(), strict=True)
        ]
        whole = torch.rand(count, 1, generator=self._draw) < 0.6
        kept = whole | (torch.rand(count, self._stems.shape[1], generator=self._draw) < 0.4)
        gain = torch.empty(count, 1).uniform_(0.7, 1.1, generator=self._draw)
        weights = (kept * gain).to(self._device, self._stems.dtype)
        sound = torch.einsum("bt,btcs->bcs", weights, torch.stack(pieces)).float()
        frames = starts[:, None] + torch.arange(CROP_FRAMES)
        marked = self._marks[
            songs[:, None].to(self._device), frames.to(self._device), : marks.HEARD
        ].float()
        return sound, marked, whole[:, 0].to(self._device)


def songs_to_train(synth: Synth, first: int, count: int) -> tuple[Tensor, Tensor]:
    """Stems and marks."""
    stems, marked = [], []
    half = torch.float16 if synth.device.type == "cuda" else torch.float32
    at_once = min(8, count)
    for group in groups(first, repeat((at_once, SONG_S), count // at_once)):
        stems.append(next(rendered(synth, [song for song, _ in group], at_once)).to(half))
        marked += [torch.from_numpy(one) for _, one in group]
    return torch.cat(stems), torch.stack(marked).to(synth.device)


def codec_of(vae: AutoencoderOobleck, only_decoder: bool) -> Codec:
    def codec(sound: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        with torch.autocast(sound.device.type, torch.bfloat16, enabled=sound.device.type == "cuda"):
            with torch.set_grad_enabled(not only_decoder):
                mean, scale = vae.encoder(sound).float().chunk(2, dim=1)
            spread = torch.nn.functional.softplus(scale) + 1e-4
            width = spread
            if only_decoder:
                width = DECODER_NOISE * torch.rand(len(mean), 1, 1, device=mean.device).square()
            made = vae.decoder(mean + width * torch.randn_like(mean)).float()
        return made, mean, spread

    return codec


def losses(
    codec: Codec, head: nn.Module, batch: tuple[Tensor, Tensor, Tensor], windows: Sequence[int]
) -> dict[str, Tensor]:
    sound, marked, whole = batch
    made, mean, spread = codec(sound)
    edge = EDGE_FRAMES * FRAME
    made, sound = made[..., edge:-edge], sound[..., edge:-edge]
    found = head(mean.transpose(1, 2))
    told = torch.nn.functional.binary_cross_entropy_with_logits(found, marked, reduction="none")
    return {
        "spectrum": spectral.distance(made, sound, windows),
        "wave": (made - sound).abs().mean(),
        "kl": (mean.square() + spread.square() - 2 * spread.log() - 1).sum(1).mean(),
        "marks": (told.mean((1, 2)) * whole).sum() / whole.sum().clamp(min=1),
    }


WEIGHTS = {"spectrum": 1.0, "wave": WAVE_WEIGHT, "kl": KL_WEIGHT, "marks": MARKS_WEIGHT}


@torch.no_grad()
def validate(vae: AutoencoderOobleck, mixes: Tensor) -> dict[str, float]:
    """Over songs that were never trained on, with the mean of the posterior as the services take it."""
    spectrum, wave = [], []
    for mix in mixes:
        with torch.autocast(mix.device.type, torch.bfloat16, enabled=mix.device.type == "cuda"):
            made = vae.decoder(vae.encoder(mix[None]).chunk(2, dim=1)[0]).float()
        spectrum.append(spectral.distance(made, mix[None]))
        wave.append((made - mix).abs().mean())
    return {
        "valid_spectrum": float(torch.stack(spectrum).mean()),
        "valid_wave": float(torch.stack(wave).mean()),
    }


@torch.no_grad()
def latent_spread(vae: AutoencoderOobleck, mixes: Tensor) -> Tensor:
    means = torch.cat([vae.encoder(mix[None]).chunk(2, dim=1)[0] for mix in mixes])
    return means.transpose(0, 1).flatten(1).std(dim=1)


def main() -> None:
    arguments = _arguments()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    journal = Journal(arguments.out / "vae.jsonl")
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = True
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    budget = Budget(arguments.minutes, arguments.steps)
    synth = Synth(device)
    first = TRAINING_SEEDS + arguments.seed * 100_000
    crops = Crops(*songs_to_train(synth, first, arguments.songs), arguments.seed)
    held = [compose(seed, SONG_S) for seed in VALIDATION_SEEDS[: arguments.songs]]
    mixes = torch.cat([stems.sum(1) for stems in rendered(synth, held)])[..., : 10 * SAMPLE_RATE_HZ]
    journal.note(songs=arguments.songs, prepared_s=budget.elapsed_s)
    torch.manual_seed(arguments.seed)
    vae = (oobleck.load(arguments.resume) if arguments.resume else oobleck.build()).to(device)
    train(vae, crops, mixes, budget, journal, arguments)
    if not arguments.decoder:
        oobleck.normalise(vae, latent_spread(vae, mixes))
    journal.note(final="normalised", **validate(vae, mixes))
    oobleck.save(vae, arguments.out / "vae", torch.float16)


def train(
    vae: AutoencoderOobleck,
    crops: Crops,
    mixes: Tensor,
    budget: Budget,
    journal: Journal,
    arguments: argparse.Namespace,
) -> None:
    fused = mixes.is_cuda
    head = nn.Sequential(nn.Linear(LATENT_CHANNELS, 128), nn.SiLU(), nn.Linear(128, marks.HEARD))
    head.to(mixes.device)
    vae.encoder.requires_grad_(not arguments.decoder)
    parameters = [*head.parameters(), *(p for p in vae.parameters() if p.requires_grad)]
    optimizer = torch.optim.AdamW(parameters, betas=(0.8, 0.99), weight_decay=1e-3, fused=fused)
    codec = codec_of(vae, arguments.decoder)
    if fused:
        codec = torch.compile(codec, dynamic=False)
    step = 0
    while (progress := budget.progress(step)) < 1:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(arguments.rate, progress, step)
        figures = losses(codec, head, crops.batch(arguments.batch), spectral.WINDOWS[step % 2 :: 2])
        optimizer.zero_grad(set_to_none=True)
        torch.stack([WEIGHTS[name] * value for name, value in figures.items()]).sum().backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        if step % arguments.every == 0:
            seen = {name: float(value.detach()) for name, value in figures.items()}
            valid = validate(vae, mixes) if step % (10 * arguments.every) == 0 else {}
            journal.note(step=step, seconds=budget.elapsed_s, **seen, **valid)
        if step % (20 * arguments.every) == 0:  # what is left of a run that is ended early
            oobleck.save(vae, arguments.out / "unfinished", torch.float16)
        step += 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--resume", type=Path, help="folder of a codec to go on with")
    parser.add_argument("--decoder", action="store_true", help="train the decoder only")
    parser.add_argument("--minutes", type=float, default=6.0)
    parser.add_argument("--steps", type=int, help="train so many steps, whatever the time")
    parser.add_argument("--songs", type=int, default=1600)
    parser.add_argument("--batch", type=int, default=20)
    parser.add_argument("--rate", type=float, default=LEARNING_RATE)
    parser.add_argument("--every", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
