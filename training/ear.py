"""An ear for `bench.micro`: tells which tracks a sound has. `python -m training.ear --out FILE`.

It learns from the synthesizer's stems alone, and nothing that is trained learns from it: the family
is judged by an ear that has never heard it. How far it can be trusted, `bench.micro`'s row of the
synthesizer's own songs says.
"""

import argparse
from itertools import pairwise, repeat
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from common.music import SAMPLE_RATE_HZ
from training.budget import Budget, Journal, learning_rate
from training.songs import groups
from training.synth import Synth
from training.voices import TRACKS

FIRST_SEED = 3_000_000
"""Songs that nothing else is trained or judged on."""
SONG_S = 10.0
SIZE, HOP, BANDS = 2048, 960, 96
PLAIN = 0.3
"""Share of sounds that are heard as the synthesizer makes them."""
FAINT = 3e-4
"""A stem whose root mean square is below this is not there."""


class Ear(nn.Module):
    """Sound `[batch, samples]`, mono at 48 kHz, to a score for each track; above 0 is heard."""

    def __init__(self, width: int = 48) -> None:
        super().__init__()
        self.register_buffer("bands", _mel_bands(), persistent=False)
        self.register_buffer("window", torch.hann_window(SIZE), persistent=False)
        sizes = (1, width // 2, width, width, 2 * width, 2 * width)
        self.layers = nn.ModuleList(
            nn.Conv2d(before, after, 3, padding=1) for before, after in pairwise(sizes)
        )
        self.norms = nn.ModuleList(nn.GroupNorm(8, after) for after in sizes[1:])
        self.last = nn.Linear(4 * width, len(TRACKS))

    def forward(self, sound: Tensor) -> Tensor:
        window, bands = self.get_buffer("window"), self.get_buffer("bands")
        spectrum = torch.stft(sound, SIZE, HOP, window=window, return_complex=True).abs()
        level = torch.log(bands @ spectrum + 1e-3)
        state = (level - level.mean((1, 2), keepdim=True))[:, None]
        for convolution, norm in zip(self.layers, self.norms, strict=True):
            state = functional.max_pool2d(functional.silu(norm(convolution(state))), (2, 2))
        heard = state.mean(2)  # over bands; then over time, both on the whole and at its strongest
        return self.last(torch.cat([heard.mean(2), heard.amax(2)], dim=1))  # type: ignore[no-any-return]


def _mel_bands() -> Tensor:
    """Triangles `[BANDS, bins]`, evenly spaced on the mel scale from 30 Hz to 16 kHz."""
    hz = torch.fft.rfftfreq(SIZE, 1 / SAMPLE_RATE_HZ)
    mel = torch.linspace(_mel(30.0), _mel(16_000.0), BANDS + 2)
    edges = 700 * (10 ** (mel / 2595) - 1)
    rise = (hz - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    fall = (edges[2:, None] - hz) / (edges[2:] - edges[1:-1])[:, None]
    return torch.minimum(rise, fall).clamp(min=0)


def _mel(hz: float) -> float:
    return float(2595 * torch.log10(torch.tensor(1 + hz / 700)))


def load(path: Path) -> Ear:
    ear = Ear()
    ear.load_state_dict({name: tensor.float() for name, tensor in load_file(path).items()})
    return ear.eval().requires_grad_(False)


def mixed(stems: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Sounds `[count, samples]` of some stems of some songs each, and which tracks they have."""
    device = stems.device
    songs = torch.randint(len(stems), (count,), device=device)
    picked = stems[songs].float()
    whole = torch.rand(count, 1, device=device) < 0.4
    gains = (whole | (torch.rand(count, len(TRACKS), device=device) < 0.6)) * torch.empty(
        count, 1, device=device
    ).uniform_(0.5, 1.2)
    there = (picked.square().mean(-1).sqrt() > FAINT) & (gains > 0)
    return torch.einsum("bt,bts->bs", gains, picked), there.float()


def disguised(sound: Tensor) -> Tensor:
    """`[batch, samples]` as other rooms, tapes and loudspeakers give it: filtered, dulled, with some noise.

    An ear that only knows clean stems takes any blur for another instrument.
    """
    count, samples = sound.shape
    device = sound.device
    spectrum = torch.fft.rfft(sound)
    octave = torch.log2(torch.fft.rfftfreq(samples, 1 / SAMPLE_RATE_HZ, device=device).clamp(min=20) / 20)
    points = torch.empty(count, 12, device=device).uniform_(-8, 8)  # decibels, one an octave
    low = octave.long().clamp(max=10)
    curve = torch.lerp(points[:, low], points[:, low + 1], octave - low)
    cutoff = torch.empty(count, 1, device=device).uniform_(7, 12)  # octaves above 20 Hz
    curve = curve - 24 * (octave - cutoff).clamp(min=0) - 100 * (octave > 9.9)
    heard = torch.fft.irfft(spectrum * 10 ** (curve / 20), samples)
    level = heard.square().mean(1, keepdim=True).sqrt()
    noise = torch.empty(count, 1, device=device).uniform_(-60, -18)
    noisy: Tensor = heard + torch.randn_like(heard) * level * 10 ** (noise / 20)
    return noisy


def main() -> None:
    arguments = _arguments()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    journal, budget = (
        Journal(arguments.out.with_suffix(".jsonl")),
        Budget(arguments.minutes, arguments.steps),
    )
    torch.manual_seed(0)
    synth, stems = Synth(device), []
    at_once = min(16, arguments.songs)
    sizes = repeat((at_once, SONG_S), max(1, arguments.songs // at_once))
    for group in groups(FIRST_SEED, sizes):
        with torch.no_grad():
            stems.append(synth.stems([song for song, _ in group]).mean(2).half())
    everything = torch.cat(stems)
    held = max(1, len(everything) // 10)
    ear = Ear().to(device)
    optimizer = torch.optim.AdamW(ear.parameters(), weight_decay=0.01)
    since, step = budget.progress(0), 0
    while (progress := budget.progress(step)) < 1:
        for group_of in optimizer.param_groups:
            group_of["lr"] = learning_rate(2e-3, (progress - since) / max(1e-9, 1 - since), step)
        sound, there = mixed(everything[held:], arguments.batch)
        plain = torch.rand(len(sound), 1, device=device) < PLAIN
        sound = torch.where(plain, sound, disguised(sound))
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            loss = functional.binary_cross_entropy_with_logits(ear(sound).float(), there)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if step % arguments.every == 0:
            with torch.no_grad():
                sound, there = mixed(everything[:held], 64)
                right, dull = (
                    ((ear(one) > 0) == (there > 0)).float().mean() for one in (sound, disguised(sound))
                )
            journal.note(
                stage="ear",
                step=step,
                seconds=budget.elapsed_s,
                loss=float(loss.detach()),
                right=float(right),
                disguised=float(dull),
            )
        step += 1
    stored = {name: tensor.detach().to("cpu", torch.float16) for name, tensor in ear.state_dict().items()}
    save_file(stored, arguments.out)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--songs", type=int, default=1600)
    parser.add_argument("--batch", type=int, default=48)
    parser.add_argument("--every", type=int, default=50)
    return parser.parse_args()


if __name__ == "__main__":
    main()
