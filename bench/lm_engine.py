"""Milliseconds per step of one engine, in a process of its own, for `bench.lm`.

A step is timed as the difference of a long and a short run, so prompts do not count.
"""

import argparse
import json
import statistics
import time
from functools import partial
from pathlib import Path
from typing import Any

from vllm import LLM, SamplingParams

from bench.lm import CODES, INVARIANT
from bench.lm_checkpoint import RELEASED, SMALL
from lm_service.engine import Task
from lm_service.guidance.processor import CODE_COUNT
from lm_service.guidance.request import to_extra_args
from lm_service.outline import Outline, Phase
from lm_service.sampling import Sampling

RELEASED_CODES = 64_000
SHORT = 8
TEMPERATURE, TOP_P, SCALE = 0.85, 0.9, 2.0

OURS = {
    "guided": Outline(phase=Phase.TEXT, constrained=False),
    CODES: Outline(phase=Phase.CODES, code_count=3000),
}


def prompt(place: int, length: int) -> tuple[int, ...]:
    return tuple((7919 * place + 31 * position) % 150_000 for position in range(length))


def unconditional_length(context: int) -> int:
    return context * 4 // 5


def load(given: argparse.Namespace) -> Any:
    """On a GPU, steps overlap in all kinds: each is planned while the one before is computed."""
    on_cpu, rows = given.device == "cpu", 2 * max(given.pairs)
    max_model_len = max(1024, given.context + 512)
    cache = (rows + 1) * max_model_len * (SMALL if on_cpu else RELEASED).cache_bytes_per_token
    arguments: dict[str, Any] = {
        "model": str(given.checkpoint),
        "skip_tokenizer_init": True,
        "dtype": "float32" if on_cpu else "bfloat16",
        "enforce_eager": on_cpu,
        "max_model_len": max_model_len,
        "max_num_seqs": rows,
        "kv_cache_memory_bytes": max((1 if on_cpu else 4) << 30, cache),
        "gpu_memory_utilization": 0.2,  # other work may share the device
        "enable_prefix_caching": False,
    }
    if given.kind in ("ours", "invariant"):
        arguments |= {
            "scheduler_cls": "lm_service.guidance.scheduler.GuidedScheduler",
            "logits_processors": ["lm_service.guidance.processor:GuidedProcessor"],
            "additional_config": {CODE_COUNT: RELEASED_CODES},
        }
    return LLM(**arguments)


def stock_batch(
    temperature: float, context: int, pairs: int, token_count: int
) -> tuple[list[Any], list[Any]]:
    """As many rows as `pairs` have."""
    params = SamplingParams(
        temperature=temperature,
        top_p=TOP_P if temperature else 1.0,
        max_tokens=token_count,
        ignore_eos=True,
        detokenize=False,
    )
    prompts = [{"prompt_token_ids": list(prompt(place, context))} for place in range(2 * pairs)]
    return prompts, [params] * len(prompts)


def our_batch(outline: Outline, context: int, pairs: int, token_count: int) -> tuple[list[Any], list[Any]]:
    params = []
    for place in range(pairs):
        task = Task(
            outline=outline,
            sampling=Sampling(temperature=TEMPERATURE, top_p=TOP_P, seed=place),
            scale=SCALE,
            unconditional=prompt(1000 + place, unconditional_length(context)),
        )
        arguments = to_extra_args(task)
        params.append(
            SamplingParams(
                temperature=0,
                max_tokens=token_count,
                ignore_eos=True,
                detokenize=False,
                extra_args=arguments,
            )
        )
    return [{"prompt_token_ids": list(prompt(place, context))} for place in range(pairs)], params


CLOCKS = {"cpu": time.process_time, "cuda": time.perf_counter}
"""On a CPU the engine's thread is all that computes, and other work does not count."""


def step_ms(llm: Any, batch: Any, device: str, steps: int, repeats: int) -> float:
    clock = CLOCKS[device]

    def seconds(token_count: int) -> float:
        prompts, params = batch(token_count)
        start = clock()
        outputs = llm.generate(prompts, params, use_tqdm=False)
        assert all(len(output.outputs[0].token_ids) == token_count for output in outputs)
        return clock() - start

    seconds(SHORT)
    return statistics.median(
        1000 * (seconds(SHORT + steps) - seconds(SHORT)) / steps for _ in range(repeats)
    )


BATCHES: dict[str, dict[str, Any]] = {
    **{
        kind: {
            kind: partial(stock_batch, TEMPERATURE),
            f"{kind}, greedy": partial(stock_batch, 0.0),
        }
        for kind in ("stock", "newest")
    },
    "ours": {name: partial(our_batch, outline) for name, outline in OURS.items()},
    "invariant": {INVARIANT: partial(our_batch, OURS[CODES])},
}
"""What each kind of engine is measured at."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=tuple(BATCHES), required=True)
    parser.add_argument("--device", choices=("cpu", "cuda"), required=True)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--result", type=Path, required=True)
    parser.add_argument("--context", type=int, required=True)
    parser.add_argument("--pairs", type=int, nargs="+", required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--repeats", type=int, required=True)
    given = parser.parse_args()
    llm, found = load(given), dict[str, dict[int, float]]()
    for pairs in given.pairs:
        for name, batch in BATCHES[given.kind].items():
            times = found.setdefault(name, {})
            times[pairs] = step_ms(
                llm, partial(batch, given.context, pairs), given.device, given.steps, given.repeats
            )
            given.result.write_text(json.dumps(found))
            print(f"{name}, {pairs} pairs: {times[pairs]:.3f} ms", flush=True)


if __name__ == "__main__":
    main()
