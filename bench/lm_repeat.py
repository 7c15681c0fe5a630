"""Whether a guided request draws the same codes alone, alone again, and among others; and what that costs.

    python -m bench.lm_repeat --device cuda
    VLLM_BATCH_INVARIANT=1 python -m bench.lm_repeat --device cuda

Random weights of the released 0.6B dimensions. "plain" requests are vLLM's own, greedy: what they do not
hold, guidance cannot.
"""

import argparse
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from bench.lm import CONTEXT
from bench.lm_checkpoint import RELEASED, SMALL, write
from bench.lm_engine import OURS, load, our_batch, step_ms, stock_batch

PAIRS = (8, 32)
ALONE = 4
"""Requests that are also run alone."""
TOKENS = {"cpu": 16, "cuda": 128}


def written(llm: Any, prompts: list[Any], params: list[Any]) -> list[list[int]]:
    outputs = llm.generate(prompts, params, use_tqdm=False)
    return [list(output.outputs[0].token_ids) for output in outputs]


def verdict(alone: list[list[int]], other: list[list[int]]) -> str:
    """How many are equal, and after how many tokens the others part."""
    parted = [
        next(place for place, (ours, its) in enumerate(zip(one, two, strict=True)) if ours != its)
        for one, two in zip(alone, other, strict=True)
        if one != two
    ]
    equal = f"{len(alone) - len(parted)} of {len(alone)} equal"
    return f"{equal}, the others part after {parted} tokens" if parted else equal


def compare(llm: Any, name: str, batch: tuple[list[Any], list[Any]]) -> None:
    prompts, params = batch
    alone, again = (
        [written(llm, [prompts[place]], [params[place]])[0] for place in range(ALONE)] for _ in range(2)
    )
    print(f"{name}, alone again: {verdict(alone, again)}", flush=True)
    for count in PAIRS:
        among = written(llm, prompts[:count], params[:count])
        print(f"{name}, among {count}: {verdict(alone, among[:ALONE])}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    device = parser.parse_args().device
    outline = OURS["guided, codes"]
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder, "acestep-5Hz-lm-random")
        write(checkpoint, RELEASED if device == "cuda" else SMALL)
        given = argparse.Namespace(
            kind="ours", device=device, checkpoint=checkpoint, pairs=PAIRS, context=CONTEXT
        )
        llm = load(given)
        compare(llm, "guided", our_batch(outline, CONTEXT, max(PAIRS), TOKENS[device]))
        compare(llm, "plain", stock_batch(0.0, CONTEXT, max(PAIRS) // 2, TOKENS[device]))
        for pairs in (1, *PAIRS):
            cost = step_ms(
                llm, partial(our_batch, outline, CONTEXT, pairs), device, TOKENS[device], repeats=2
            )
            print(f"{pairs} pairs: {cost:.2f} ms per step", flush=True)


if __name__ == "__main__":
    main()
