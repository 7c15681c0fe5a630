"""Replay recorded cases of the reference through this service's own code.

A case is told by what it holds, so any directory in the form of `tests/golden/dit` will do.
Where this service departs from the reference on purpose, see `departures`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from common.revision import of_checkpoint
from dit_service import conditions, flow
from dit_service.layout import TEXT_ENCODER, VAE
from dit_service.network.transformer import Row
from dit_service.networks import DitNetworks, load_dit, load_vae
from dit_service.text_encoder import MAX_LYRIC_TOKENS, TextEncoder
from dit_service.torch_engine import TorchEngine, prepared
from dit_service.vae import Vae
from tests.dit.golden import TOLERANCE, WAVEFORM_TOLERANCE, Case, wave

CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True)
class Gap:
    """How far this service is from the reference in one thing."""

    what: str
    size: float
    allowed: float

    @property
    def passes(self) -> bool:
        return self.size <= self.allowed  # never for NaN


@dataclass(frozen=True, slots=True)
class Stand:
    """All checkpoints of a directory, loaded as the service loads them, in float32."""

    networks: dict[str, DitNetworks]
    vae: Vae
    text_encoder: TextEncoder
    engine: TorchEngine

    @classmethod
    def load(cls, root: Path) -> "Stand":
        folder = root / "ckpt"
        names = sorted(path.parent.name for path in folder.glob("acestep-v15-*/config.json"))
        networks = {name: load_dit(folder / name, CPU, torch.float32) for name in names}
        text_encoder = TextEncoder.load(folder / TEXT_ENCODER, CPU, torch.float32)
        vae = Vae(of_checkpoint(folder / VAE), load_vae(folder / VAE, CPU, torch.float32))
        models = {name: prepared(model) for name, model in networks.items()}
        return cls(networks, vae, text_encoder, TorchEngine(models, text_encoder, vae, CPU))

    def model(self, golden: Case) -> DitNetworks:
        return self.networks[golden.model]


def gap(what: str, actual: Tensor, expected: Tensor, allowed: float = TOLERANCE) -> Gap:
    if actual.shape != expected.shape:
        return Gap(f"{what} {list(actual.shape)}, not {list(expected.shape)}", float("inf"), allowed)
    return Gap(what, (actual.double() - expected.double()).abs().max().item(), allowed)


def same(what: str, actual: object, expected: object) -> Gap:
    return Gap(what, float(actual != expected), 0.0)


def valid(golden: Case, tensor: str, mask: str, item: int) -> Tensor:
    """The rows of an item that are no padding, `[1, rows, width]`."""
    return golden[tensor][item][golden[mask][item] > 0][None]


def timbre_of(model: DitNetworks, golden: Case, item: int) -> Tensor:
    """One token for each reference of an item."""
    references = golden["in.refer_audio_acoustic_hidden_states_packed"]
    mine = references[golden["in.refer_audio_order_mask"] == item]
    return torch.cat([conditions.timbre(model, reference[None]) for reference in mine], dim=1)


def conditioning(stand: Stand, golden: Case) -> list[Gap]:
    model, gaps = stand.model(golden), []
    for item in range(len(golden["in.text_hidden_states"])):
        text = valid(golden, "in.text_hidden_states", "in.text_attention_mask", item)
        lyrics = valid(golden, "in.lyric_hidden_states", "in.lyric_attention_mask", item)
        expected = valid(golden, "out.encoder_hidden_states", "out.encoder_attention_mask", item)
        sequence = conditions.sequence(model, text, lyrics, timbre_of(model, golden, item))
        gaps.append(gap("sequence", sequence, expected))
    return gaps


def transformer(stand: Stand, golden: Case) -> list[Gap]:
    network = stand.model(golden).transformer
    moments = network.moments(golden["in.t"].tolist(), golden["in.r"].tolist())
    frames = torch.cat([golden["in.context_latents"], golden["in.x"]], dim=-1)
    heard = [network.heard(condition) for condition in golden["in.encoder_hidden_states"]]
    rows = [Row(*row) for row in zip(frames, moments, heard, strict=True)]
    return [gap("velocity", torch.stack(network(rows)), golden["out.v"])]


def tokenizer(stand: Stand, golden: Case) -> list[Gap]:
    model, gaps = stand.model(golden), []
    for item, latents in enumerate(golden["in.latents"]):
        codes = conditions.encode_codes(model, latents[None])
        gaps.append(same("codes", codes, golden["out.indices"][item, :, 0].tolist()))
        gaps.append(gap("hint", conditions.decode_codes(model, codes), golden["out.detok_25hz"][[item]]))
    decoded = conditions.decode_codes(model, golden["in.codes"].tolist())
    return [*gaps, gap("hint of codes", decoded, golden["out.codes_25hz"])]


def texts(stand: Stand, golden: Case) -> list[Gap]:
    encoder, gaps = stand.text_encoder, []
    for place, text in enumerate(golden.facts["texts"]):
        ids = encoder.token_ids(text, MAX_LYRIC_TOKENS)
        gaps += [
            same("ids", ids, golden[f"out.ids{place}"][0].tolist()),
            gap("hidden states", encoder.hidden_states(text), golden[f"out.last_hidden{place}"]),
            gap("embeddings", encoder.embeddings(text), golden[f"out.embed{place}"]),
        ]
    return gaps


def noise(stand: Stand, golden: Case) -> list[Gap]:
    gaps = []
    for name, expected in golden.tensors.items():
        seed = int(name.removeprefix("out.seed_"))
        _, frames, channels = expected.shape
        drawn = flow.noise(frames, channels, torch.Generator().manual_seed(seed))
        gaps.append(gap("noise", drawn, expected, allowed=0.0))
    return gaps


def codes_of_sound(stand: Stand, golden: Case) -> list[Gap]:
    latents = torch.cat(list(stand.vae.encode(_input(golden))), dim=1)
    codes = conditions.encode_codes(stand.model(golden), latents)
    return [same("codes", codes, golden["out.codes"].tolist())]


def decoding(stand: Stand, golden: Case) -> list[Gap]:
    audio = torch.cat(list(stand.vae.decode(golden["in.z"].transpose(1, 2))))
    return [gap("sound", audio.T[None], golden["out.wav"], WAVEFORM_TOLERANCE)]


def encoding(stand: Stand, golden: Case) -> list[Gap]:
    latents = torch.cat(list(stand.vae.encode(_input(golden))), dim=1)
    return [gap("latents", latents.transpose(1, 2), golden["out.mean"])]


def tiled_decoding(stand: Stand, golden: Case) -> list[Gap]:
    facts, gaps = golden.facts, []
    vae = Vae(stand.vae.revision, stand.vae.network, facts["chunk_size"], facts["overlap"])
    audio = torch.cat(list(vae.decode(golden["in.z"].transpose(1, 2)))).T[None]
    for window, start in zip(golden["out.tiled_windows"], facts["window_starts"], strict=True):
        part = audio[..., start : start + window.shape[-1]]
        gaps.append(gap("sound", part, window, WAVEFORM_TOLERANCE))
    return [*gaps, same("shape", list(audio.shape), facts["shape"])]


def tiled_encoding(stand: Stand, golden: Case) -> list[Gap]:
    vae = Vae(
        stand.vae.revision,
        stand.vae.network,
        encode_tile_samples=golden.facts["chunk_size"],
        encode_overlap_samples=golden.facts["overlap"],
    )
    latents = torch.cat(list(vae.encode(_input(golden))), dim=1)
    return [gap("latents", latents.transpose(1, 2), golden["out.tiled_mean"])]


def _input(golden: Case) -> Tensor:
    """The wave that a case describes as `wave(96500,kind=2)`, `[samples, 2]`."""
    samples, kind = golden.facts["input"].removeprefix("wave(").split(")")[0].split(",")
    return torch.from_numpy(wave(int(samples), int(kind.removeprefix("kind="))))


BY_TENSOR: dict[str, Callable[[Stand, Case], list[Gap]]] = {
    "in.x": transformer,
    "in.refer_audio_acoustic_hidden_states_packed": conditioning,
    "in.codes": tokenizer,
    "out.ids0": texts,
    "out.codes": codes_of_sound,
    "out.wav": decoding,
    "out.mean": encoding,
    "out.tiled_windows": tiled_decoding,
    "out.tiled_mean": tiled_encoding,
}
"""How to replay a case of networks alone, by a tensor that only cases of its kind have."""


def networks_alone(stand: Stand, golden: Case) -> list[Gap]:
    if all(name.startswith("out.seed_") for name in golden.tensors):
        return noise(stand, golden)
    for name, replay in BY_TENSOR.items():
        if name in golden.tensors:
            return replay(stand, golden)
    raise ValueError(f"{golden.name} is a case of no known kind")
