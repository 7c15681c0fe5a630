"""The explicit loop that guided generation is compared with: two caches, one token for both.

Plain on purpose: full vocabulary, one request, no windows, no batch. It shares the grammar and the
final draw with the service; the mixing, masking, penalty and bookkeeping are its own.
"""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import Qwen3Config, Qwen3ForCausalLM

from lm_service.engine import Job
from lm_service.grammar import Grammar
from lm_service.outline import Codes, Only
from lm_service.sampling import Draw, drawn
from lm_service.writer import Writer

Network = Any
"""A `Qwen3ForCausalLM`, whose methods have no types."""


def load(checkpoint: Path) -> Network:
    """The network in float32, as the engine under test has it."""
    network: Network = Qwen3ForCausalLM(Qwen3Config.from_pretrained(checkpoint))
    network.float().eval()
    tensors = load_file(checkpoint / "model.safetensors")
    missing, unexpected = network.load_state_dict(
        {f"model.{name}": tensor.float() for name, tensor in tensors.items()}, strict=False
    )
    assert missing == ["lm_head.weight"]  # tied
    assert not unexpected
    return network


@torch.no_grad()
def written(network: Network, grammar: Grammar, job: Job) -> list[int]:
    """The tokens of `job`."""
    prompts = [job.prompt, *([job.task.unconditional] if job.task.unconditional else [])]
    caches = [None for _ in prompts]
    inputs = [torch.tensor([prompt]) for prompt in prompts]
    writer, tokens = Writer(grammar, job.task.outline), list[int]()
    while len(tokens) < job.max_tokens and (not tokens or tokens[-1] not in job.stop_tokens):
        rows = []
        for place, ids in enumerate(inputs):
            output = network(input_ids=ids, past_key_values=caches[place], use_cache=True)
            caches[place] = output.past_key_values
            rows.append(output.logits[0, -1].float())
        scores = rows[0] if len(rows) == 1 else rows[1] + job.task.scale * (rows[0] - rows[1])
        scores = _penalised(_masked(scores, writer, grammar), tokens, job.task.sampling.repetition_penalty)
        draw = Draw(job.task.sampling, len(tokens))
        tokens.append(int(drawn(scores[None], torch.arange(len(scores)), [draw])))
        writer.advance(tokens[-1:])
        inputs = [torch.tensor([tokens[-1:]])] * len(inputs)
    return tokens


def _masked(scores: Tensor, writer: Writer, grammar: Grammar) -> Tensor:
    allowed, keep = writer.allowed(), torch.zeros(len(scores), dtype=torch.bool)
    if isinstance(allowed, Only):
        keep[list(allowed.tokens)] = True
    elif isinstance(allowed, Codes):
        keep[grammar.window.first : grammar.window.stop] = True
        keep[grammar.vocabulary.end_of_turn] = allowed.or_end
    else:
        keep[: grammar.vocabulary.size] = torch.from_numpy(grammar.mask(allowed))
    return scores.masked_fill(~keep, -torch.inf)


def _penalised(scores: Tensor, tokens: list[int], penalty: float) -> Tensor:
    scores = scores.clone()
    for token in set(tokens):
        scores[token] = scores[token] * penalty if scores[token] < 0 else scores[token] / penalty
    return scores
