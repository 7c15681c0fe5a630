"""How far what the service computes in bfloat16 on a GPU is from float32, beside plain bfloat16."""

from pathlib import Path

import torch
from diffusers.models.transformers.ace_step_transformer import AceStepTransformer1DModel
from torch import Tensor

from bench.dit_checkpoint import TURBO
from bench.dit_networks import RELEASED, Song, peer_network, peer_step, song
from bench.gpu_songs import JOB
from dit_service import conditions, layout, prompt
from dit_service.checkpoint import published_name, read_tensors
from dit_service.networks import DitNetworks, load_dit, load_vae
from dit_service.text_encoder import TextEncoder
from dit_service.torch_engine import TorchEngine

GPU = torch.device("cuda")
BF16 = torch.bfloat16
T = 0.7


def velocities(engine: TorchEngine, models: Path) -> None:
    """Plain is diffusers' transformer with the same weights."""
    ours = engine.transformer(TURBO)
    exact = load_dit(models / TURBO, GPU, torch.float32).transformer
    plain = _peer(models / TURBO)
    for seconds in (30.0, 60.0, 240.0):
        each = song(seconds, RELEASED, GPU, BF16)
        wide = Song(each.seconds, each.latents.float(), each.context.float(), each.condition.float())
        truth = exact([wide.row(exact, T)])[0]
        found = [ours([each.row(ours, T)])[0] for _ in range(3)][-1]
        _tell(f"velocity, {seconds:g} s", found, peer_step(plain, [each], T)[0], truth)


def condition(engine: TorchEngine, models: Path) -> None:
    """Of text, lyrics and the timbre of silence. Plain: neither compiled nor recorded."""
    folder = layout.shared(models, TURBO).text_encoder

    def sequence(texts: TextEncoder, networks: DitNetworks) -> Tensor:
        return conditions.sequence(
            networks,
            texts.hidden_states(prompt.text(JOB, prompt.instruction(JOB))),
            texts.embeddings(prompt.lyrics(JOB)),
            conditions.timbre(networks, networks.silence[:, : networks.timbre_frames]),
        )

    found = sequence(engine._text_encoder, engine._models[TURBO].networks)
    truth, rough = (
        sequence(TextEncoder.load(folder, GPU, kind), load_dit(models / TURBO, GPU, kind))
        for kind in (torch.float32, BF16)
    )
    _tell("condition", found, rough, truth)


def sound(engine: TorchEngine, models: Path) -> None:
    vae, latents = load_vae(models / "vae", GPU, torch.float32), torch.randn(1, 250, 64, device=GPU)
    found = torch.cat(list(engine.codec.decode(latents)))
    truth = vae.decoder(latents.transpose(1, 2))[0].T.cpu()
    rough = vae.to(BF16).decoder(latents.transpose(1, 2).to(BF16))[0].T.cpu()
    _tell("sound", found, rough, truth)


def _peer(folder: Path) -> AceStepTransformer1DModel:
    peer, tensors = peer_network(RELEASED, GPU, BF16), read_tensors(folder)
    peer.load_state_dict(
        {name: tensors[published_name(f"decoder.{name}")].to(GPU, BF16) for name in peer.state_dict()}
    )
    return peer


def _tell(name: str, found: Tensor, plain: Tensor, truth: Tensor) -> None:
    print(f"{name}: {_far(found, truth):.2e}, plain bfloat16 {_far(plain, truth):.2e}", flush=True)


def _far(found: Tensor, truth: Tensor) -> float:
    return float((found.float() - truth).norm() / truth.norm())
