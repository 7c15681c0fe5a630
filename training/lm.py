"""Train the language model: `python -m training.lm --codes FILE --out FOLDER`."""

import argparse
from multiprocessing.pool import Pool
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional
from transformers import Qwen3Config, Qwen3Model

from common.music import CODE_RATE_HZ
from lm_service.vocabulary import CodeWindow, Vocabulary
from training import export
from training.budget import Budget, Journal, learning_rate, wait_for
from training.compose import compose
from training.scores import IGNORED, LONGEST, MODES, Score, packed, score
from training.sizes import CODE_COUNT
from training.songs import composers
from training.steps import Average, Loss, Stepper, advance, autocast
from training.tokenizers import for_language_model

HELD = 400
WORN = 0.1
"""Share of codes that are exchanged in what the model reads."""


class LanguageModel(nn.Module):
    """Qwen3 without what generation needs."""

    def __init__(self, config: dict[str, object]) -> None:
        super().__init__()
        self.network = Qwen3Model(Qwen3Config(**config, attn_implementation="sdpa"))
        nn.init.normal_(self.network.embed_tokens.weight, std=0.02)

    def forward(self, ids: Tensor) -> Tensor:
        """Scores `[batch, tokens, vocabulary]`."""
        states = self.network.embed_tokens(ids)
        places = torch.arange(ids.shape[1], device=ids.device)[None]
        rotary = self.network.rotary_emb(states, places)
        for layer in self.network.layers:
            states = layer(states, attention_mask=None, position_embeddings=rotary)
        return functional.linear(self.network.norm(states), self.network.embed_tokens.weight)


def scores_of(seeds: list[int], codes: list[list[int]], rounds: int, seed: int) -> list[Score]:
    vocabulary = Vocabulary(for_language_model())
    draw = np.random.default_rng(seed)
    scores = []
    for number, row in zip(seeds, codes, strict=True):
        song = compose(number, float(len(row) // CODE_RATE_HZ))
        scores += [score(song, row, vocabulary, draw) for _ in range(rounds)]
    return scores


def all_scores(path: Path, rounds: int, pool: Pool, seed: int) -> tuple[list[Score], list[Score]]:
    """To learn from, and of the last `HELD` songs, which nothing is learnt from."""
    stored = torch.load(path, weights_only=True)
    seeds, codes = stored["seeds"], stored["codes"]
    held = min(HELD, len(seeds) // 4)
    learnt = len(seeds) - held
    parts = np.array_split(np.arange(learnt), max(1, learnt // 64))
    jobs = [
        ([seeds[i] for i in part], [codes[i] for i in part], rounds, seed + int(part[0])) for part in parts
    ]
    jobs.append((seeds[learnt:], codes[learnt:], 2, seed + learnt))
    done = pool.starmap(scores_of, jobs, chunksize=1)
    return [one for some in done[:-1] for one in some], done[-1]


def worn(ids: Tensor, window: CodeWindow) -> Tensor:
    """Some codes exchanged for any others: what is read from them must not hang on each of them."""
    drawn = torch.randint_like(ids, window.first, window.stop)
    exchanged = (
        (ids >= window.first) & (ids < window.stop) & (torch.rand(ids.shape, device=ids.device) < WORN)
    )
    return torch.where(exchanged, drawn, ids)


def main() -> None:
    arguments = _arguments()
    pool = composers(arguments.workers)
    torch.manual_seed(arguments.seed)
    clock, journal = Budget(arguments.minutes, arguments.steps), Journal(arguments.out / "lm.jsonl")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    tokenizer = for_language_model()
    model = LanguageModel(export.lm_config(tokenizer)).to(device)
    if arguments.resume:
        stored = load_file(arguments.resume / "model.safetensors")
        model.network.load_state_dict({name: tensor.float() for name, tensor in stored.items()})
    graphs = arguments.graphs and device.type == "cuda"
    loss = loss_of(model, device)
    stepper = Stepper(
        torch.compile(loss, dynamic=False) if graphs else loss, list(model.parameters()), graphs
    )
    if graphs:  # compile while codes are still made
        nothing = torch.zeros(arguments.batch, LONGEST, dtype=torch.long, device=device)
        stepper(nothing, nothing, torch.ones(nothing.shape, device=device))
    wait_for(arguments.codes)
    scores, held = all_scores(arguments.codes, arguments.rounds, pool, arguments.seed)
    learnt = tuple(tensor.to(device) for tensor in packed(scores))
    journal.note(stage="scores", count=len(scores), fitting=len(learnt[0]), seconds=clock.elapsed_s)
    held_by_mode = {
        mode: tuple(tensor.to(device) for tensor in packed([one for one in held if one.mode == mode][:128]))
        for mode in MODES
    }
    train(stepper, learnt, loss, held_by_mode, clock, journal, arguments)
    export.language_model(model.network.state_dict(), arguments.out / export.LANGUAGE_MODEL_NAME, tokenizer)


def loss_of(model: LanguageModel, device: torch.device) -> Loss:
    def loss(tokens: Tensor, follow: Tensor, weight: Tensor) -> Tensor:
        with autocast(device):
            made = model(tokens)
        each = functional.cross_entropy(
            made.float().flatten(0, 1), follow.flatten(), ignore_index=IGNORED, reduction="none"
        )
        return (each * weight.flatten()).sum() / (follow != IGNORED).sum()

    return loss


def train(
    stepper: Stepper,
    scores: tuple[Tensor, ...],
    loss: Loss,
    held: dict[str, tuple[Tensor, ...]],
    budget: Budget,
    journal: Journal,
    arguments: argparse.Namespace,
) -> None:
    """Leaves the averaged weights in the model that did best on songs that it did not learn from."""
    device, parameters = scores[0].device, stepper.parameters
    window = Vocabulary(for_language_model()).code_window(CODE_COUNT)
    optimizer = torch.optim.AdamW(
        parameters, betas=(0.9, 0.95), weight_decay=0.05, fused=device.type == "cuda"
    )
    average = Average(parameters, 0.998)
    budget.begin()
    step, best, lowest = 0, [tensor.clone() for tensor in average.kept], float("inf")
    while (progress := budget.progress(step)) < 1:
        rows = torch.randint(len(scores[0]), (arguments.batch,), device=device)
        ids, wanted, weight = (tensor[rows] for tensor in scores)
        value = stepper(worn(ids, window), wanted, weight)
        advance(optimizer, parameters, learning_rate(arguments.rate, progress, step))
        average.follow(step)
        if step % arguments.every == 0:
            valid = _valid(loss, held)
            journal.note(step=step, seconds=budget.elapsed_s, loss=float(value), **valid)
            if valid["valid"] <= lowest:
                lowest, best = valid["valid"], [tensor.clone() for tensor in average.kept]
        step += 1
    journal.note(step=step, seconds=budget.elapsed_s, loss=float(value), best=lowest)
    average.restore(best)
    average.take()


@torch.no_grad()
def _valid(loss: Loss, held: dict[str, tuple[Tensor, ...]]) -> dict[str, float]:
    found = {f"valid_{mode}": float(loss(*tensors)) for mode, tensors in held.items() if len(tensors[0])}
    return {"valid": sum(MODES[name[6:]] * value for name, value in found.items()), **found}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--codes", type=Path, required=True, help="what training.codes wrote")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--resume", type=Path, help="folder of a language model to go on with")
    parser.add_argument("--minutes", type=float, default=7.5)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--batch", type=int, default=96)
    parser.add_argument("--rate", type=float, default=1.5e-3)
    parser.add_argument("--every", type=int, default=200)
    parser.add_argument("--workers", type=int, default=14)
    parser.add_argument("--graphs", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
