"""Train the language model: `python -m training.lm --codes FILE --out FOLDER`."""

import argparse
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional
from transformers import Qwen3Config, Qwen3Model

from lm_service.vocabulary import Vocabulary
from training import export
from training.budget import Budget, Journal, learning_rate
from training.scores import IGNORED, Score, packed, score
from training.steps import Average, Stepper, advance, autocast
from training.tokenizers import for_language_model


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


def scores_of(seeds: list[int], codes: np.ndarray, rounds: int, seed: int) -> list[Score]:
    vocabulary = Vocabulary(for_language_model())
    draw = np.random.default_rng(seed)
    return [
        score(song, row, vocabulary, draw)
        for song, row in zip(seeds, codes, strict=True)
        for _ in range(rounds)
    ]


def all_scores(path: Path, rounds: int, workers: int, seed: int) -> list[Score]:
    """Of every song in `path`, which is waited for: another process writes it."""
    while not path.is_file():
        time.sleep(0.5)
    time.sleep(2.0)  # it may still be being written
    stored = torch.load(path, weights_only=True)
    seeds, codes = stored["seeds"], stored["codes"].numpy().astype(np.int64)
    if workers < 2:
        return scores_of(seeds, codes, rounds, seed)
    parts = np.array_split(np.arange(len(seeds)), workers)
    with ProcessPoolExecutor(workers, mp_context=get_context("fork")) as pool:
        futures = [
            pool.submit(scores_of, [seeds[i] for i in part], codes[part], rounds, seed + number)
            for number, part in enumerate(parts)
        ]
        return [one for future in futures for one in future.result()]


def main() -> None:
    arguments = _arguments()
    torch.manual_seed(arguments.seed)
    clock, journal = Budget(1), Journal(arguments.out / "lm.jsonl")
    scores = all_scores(arguments.codes, arguments.rounds, arguments.workers, arguments.seed)
    np.random.default_rng(0).shuffle(scores)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    ids, wanted = (tensor.to(device) for tensor in packed(scores))
    journal.note(
        stage="scores", count=len(ids), longest=max(len(one.ids) for one in scores), seconds=clock.elapsed_s
    )
    tokenizer = for_language_model()
    model = LanguageModel(export.lm_config(tokenizer)).to(device)
    if arguments.resume:
        stored = load_file(arguments.resume / "model.safetensors")
        model.network.load_state_dict({name: tensor.float() for name, tensor in stored.items()})
    train(model, ids, wanted, Budget(arguments.minutes, arguments.steps), journal, arguments)
    export.language_model(model.network.state_dict(), arguments.out / export.LANGUAGE_MODEL_NAME, tokenizer)


def train(
    model: LanguageModel,
    ids: Tensor,
    wanted: Tensor,
    budget: Budget,
    journal: Journal,
    arguments: argparse.Namespace,
) -> None:
    held = max(1, min(256, len(ids) // 20))
    device, parameters = ids.device, list(model.parameters())

    def loss(tokens: Tensor, follow: Tensor) -> Tensor:
        with autocast(device):
            made = model(tokens)
        return functional.cross_entropy(made.float().flatten(0, 1), follow.flatten(), ignore_index=IGNORED)

    stepper = Stepper(loss, parameters, arguments.graphs and device.type == "cuda")
    optimizer = torch.optim.AdamW(
        parameters, betas=(0.9, 0.95), weight_decay=0.05, fused=device.type == "cuda"
    )
    average = Average(parameters, 0.998)
    step = 0
    while (progress := budget.progress(step)) < 1:
        rows = torch.randint(held, len(ids), (arguments.batch,), device=device)
        value = stepper(ids[rows], wanted[rows])
        advance(optimizer, parameters, learning_rate(arguments.rate, progress, step))
        average.follow(step)
        if step % arguments.every == 0:
            with torch.no_grad():
                valid = [float(loss(ids[i : i + 32], wanted[i : i + 32])) for i in range(0, held, 32)]
            journal.note(
                step=step, seconds=budget.elapsed_s, loss=float(value), valid=float(np.mean(valid))
            )
        step += 1
    journal.note(step=step, seconds=budget.elapsed_s, loss=float(value))
    average.take()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--codes", type=Path, required=True, help="what training.dit wrote as --codes-out")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--resume", type=Path, help="folder of a language model to go on with")
    parser.add_argument("--minutes", type=float, default=3.8)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=1.5e-3)
    parser.add_argument("--every", type=int, default=200)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--graphs", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
