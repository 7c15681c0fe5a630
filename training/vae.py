"""Train the audio codec: `python -m training.vae --out FOLDER --minutes 6`."""

import argparse
from pathlib import Path

import torch
from diffusers import AutoencoderOobleck
from torch import Tensor

from common.music import SAMPLE_RATE_HZ
from training import oobleck, spectral
from training.budget import Budget, Journal, learning_rate
from training.songs import TRAINING_SEEDS, composed, rendered
from training.synth import Synth

SONG_S = 15.0
CROP_SAMPLES = 23_040
LEARNING_RATE = 1e-3
KL_WEIGHT = 1e-4
WAVE_WEIGHT = 2.0
VALIDATION_SEEDS = range(16)


class Crops:
    """Pieces of rendered songs: of whole mixes, and of some of their stems."""

    def __init__(self, stems: list[Tensor], seed: int) -> None:
        self._stems = torch.cat(stems)  # [songs, tracks, 2, samples]
        self._device = self._stems.device
        self._draw = torch.Generator().manual_seed(seed)

    def batch(self, count: int, samples: int) -> Tensor:
        songs = torch.randint(len(self._stems), (count,), generator=self._draw)
        starts = torch.randint(self._stems.shape[-1] - samples, (count,), generator=self._draw)
        pieces = torch.stack(
            [self._stems[song, :, :, at : at + samples] for song, at in zip(songs, starts, strict=True)]
        )
        whole = torch.rand(count, 1, generator=self._draw) < 0.5
        kept = whole | (torch.rand(pieces.shape[:2], generator=self._draw) < 0.4)
        gain = torch.empty(count, 1).uniform_(0.7, 1.1, generator=self._draw)
        weights = (kept * gain).to(self._device)
        return torch.einsum("bt,btcs->bcs", weights, pieces.float())


def songs_to_train(synth: Synth, first: int, count: int, workers: int) -> list[Tensor]:
    songs = composed(range(first, first + count), SONG_S, workers)
    half = torch.float16 if synth.device.type == "cuda" else torch.float32
    return [stems.to(half) for stems in rendered(synth, songs)]


def loss_of(vae: AutoencoderOobleck, sound: Tensor, noise: bool = True) -> tuple[Tensor, dict[str, Tensor]]:
    with torch.autocast(sound.device.type, torch.bfloat16, enabled=sound.device.type == "cuda"):
        mean, scale = vae.encoder(sound).float().chunk(2, dim=1)
        spread = torch.nn.functional.softplus(scale) + 1e-4
        latents = mean + spread * torch.randn_like(mean) if noise else mean
        made = vae.decoder(latents).float()
    kl = (mean.square() + spread.square() - 2 * spread.log() - 1).sum(1).mean()
    spectrum = spectral.distance(made, sound)
    wave = (made - sound).abs().mean()
    loss = spectrum + WAVE_WEIGHT * wave + KL_WEIGHT * kl
    return loss, {"loss": loss, "spectrum": spectrum, "wave": wave, "kl": kl}


@torch.no_grad()
def validate(vae: AutoencoderOobleck, mixes: Tensor) -> dict[str, float]:
    """Over songs that were never trained on, with the mean of the posterior as the services take it."""
    figures = [loss_of(vae, mix[None], noise=False)[1] for mix in mixes]
    names = ("spectrum", "wave")
    return {f"valid_{name}": float(torch.stack([one[name] for one in figures]).mean()) for name in names}


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
        oobleck.fuse_snake()
    budget = Budget(arguments.minutes, arguments.steps)
    synth = Synth(device)
    first = TRAINING_SEEDS + arguments.seed * 100_000
    crops = Crops(songs_to_train(synth, first, arguments.songs, arguments.workers), arguments.seed)
    held = composed(VALIDATION_SEEDS[: arguments.songs], SONG_S, 1)
    mixes = torch.cat([stems.sum(1) for stems in rendered(synth, held)])[..., : 10 * SAMPLE_RATE_HZ]
    journal.note(songs=arguments.songs, prepared_s=budget.elapsed_s)
    torch.manual_seed(arguments.seed)
    vae = (oobleck.load(arguments.resume) if arguments.resume else oobleck.build()).to(device)
    train(vae, crops, mixes, budget, journal, arguments)
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
    optimizer = torch.optim.AdamW(vae.parameters(), betas=(0.8, 0.99), weight_decay=1e-3, fused=fused)
    step = 0
    while (progress := budget.progress(step)) < 1:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(LEARNING_RATE, progress, step)
        loss, figures = loss_of(vae, crops.batch(arguments.batch, CROP_SAMPLES))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        if step % arguments.every == 0:
            valid = validate(vae, mixes) if step % (10 * arguments.every) == 0 else {}
            seen = {name: float(value.detach()) for name, value in figures.items()}
            journal.note(step=step, seconds=budget.elapsed_s, **seen, **valid)
            if valid:
                oobleck.save(vae, arguments.out / "vae", torch.float16)
        step += 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--resume", type=Path, help="folder of a codec to go on with")
    parser.add_argument("--minutes", type=float, default=6.0)
    parser.add_argument("--steps", type=int, help="train so many steps, whatever the time")
    parser.add_argument("--songs", type=int, default=600)
    parser.add_argument("--batch", type=int, default=48)
    parser.add_argument("--every", type=int, default=50)
    parser.add_argument("--workers", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
