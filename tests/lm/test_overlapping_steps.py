"""Guided pairs when a step is planned while the one before is still computed, as on a GPU.

vLLM overlaps no steps on a CPU, so its real scheduler runs here over a runner of our own, which
delivers every step one step late and draws tokens from nothing but the request's name and place.
"""

from __future__ import annotations

import importlib
import random
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lm_service import vllm_environment
from lm_service.engine import Task
from lm_service.guidance.request import to_extra_args
from lm_service.outline import Outline, Phase
from lm_service.sampling import Sampling
from lm_service.settings import Settings
from model_store.tiny import LANGUAGE_MODEL, build

pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings(
        "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"
    ),
]

BLOCK, BLOCKS, MAX_MODEL_LEN = 16, 34, 256
END = 999


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Any:
    models: Path = tmp_path_factory.mktemp("models")
    build(models)
    vllm_environment.prepare(cpu_threads=1)
    vllm_engine = importlib.import_module("lm_service.vllm_engine")
    settings = Settings(models=models, max_model_len=MAX_MODEL_LEN, max_rows=12)
    arguments = vllm_engine._engine_args(models / LANGUAGE_MODEL, settings, 1000)
    arguments |= {"block_size": BLOCK, "num_gpu_blocks_override": BLOCKS, "max_num_batched_tokens": 48}
    made = importlib.import_module("vllm").AsyncEngineArgs(**arguments).create_engine_config()
    made.cache_config.num_gpu_blocks = BLOCKS
    made.scheduler_config.async_scheduling = True
    return made


def scheduler_of(config: Any) -> Any:
    kv = importlib.import_module("vllm.v1.kv_cache_interface")
    torch = importlib.import_module("torch")
    spec = kv.FullAttentionSpec(block_size=BLOCK, num_kv_heads=1, head_size=32, dtype=torch.float32)
    outputs = importlib.import_module("vllm.v1.structured_output")
    return importlib.import_module("lm_service.guidance.scheduler").GuidedScheduler(
        vllm_config=config,
        kv_cache_config=kv.KVCacheConfig(
            num_blocks=BLOCKS, kv_cache_tensors=[], kv_cache_groups=[kv.KVCacheGroupSpec(["layer"], spec)]
        ),
        structured_output_manager=outputs.StructuredOutputManager(config),
        block_size=BLOCK,
        hash_block_size=BLOCK,
        log_stats=True,
    )


@dataclass(slots=True)
class Wanted:
    """A request, and what it must write."""

    name: str
    prompt_count: int
    unconditional_count: int
    max_tokens: int

    def prompt(self) -> list[int]:
        return [hash(self.name) % 50, *range(self.prompt_count - 1)]

    def written(self) -> list[int]:
        tokens = [token_of(self.name, place) for place in range(self.max_tokens)]
        return tokens[: tokens.index(END) + 1] if END in tokens else tokens


def token_of(name: str, place: int) -> int:
    draw = random.Random(f"{name} {place}").randrange(60)
    return END if draw == 0 else draw


@dataclass
class Late:
    """Runs a scheduler, and hands it the tokens of each step only after it has planned the next."""

    scheduler: Any
    hasher: Any
    drawn: Counter[str] = field(default_factory=Counter)
    got: dict[str, list[int]] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    preemptions: int = 0
    _computing: deque[Any] = field(default_factory=deque)

    def add(self, wanted: Wanted) -> None:
        sampling = importlib.import_module("vllm.sampling_params")
        task = Task(
            outline=Outline(phase=Phase.CODES),
            sampling=Sampling(temperature=1.0),
            unconditional=tuple(range(wanted.unconditional_count)),
        )
        params = sampling.SamplingParams(
            temperature=0,
            max_tokens=wanted.max_tokens,
            stop_token_ids=[END],
            extra_args=to_extra_args(task),
        )
        self.got[wanted.name] = []
        self.scheduler.add_request(self.request(wanted.name, wanted.prompt(), params))

    def request(self, name: str, prompt: list[int], params: Any) -> Any:
        return importlib.import_module("vllm.v1.request").Request(
            request_id=name,
            prompt_token_ids=prompt,
            sampling_params=params,
            pooling_params=None,
            block_hasher=self.hasher,
        )

    def step(self) -> None:
        planned = self.scheduler.schedule()
        self.preemptions += len(planned.preempted_req_ids or ())
        self._computing.append((planned, self._tokens(planned)))
        if len(self._computing) > 1:
            self._deliver()

    def _tokens(self, planned: Any) -> dict[str, list[int]]:
        tokens = {}
        for name in planned.num_scheduled_tokens:
            request = self.scheduler.requests[name]
            (blocks,) = self.scheduler.kv_cache_manager.get_block_ids(name)
            assert len(blocks) * BLOCK >= request.num_computed_tokens, "no room for what is computed"
            tokens[name] = list[int]()
            if not request.is_prefill_chunk:
                # All that was written, and nothing else, is what the token follows from.
                assert request.num_computed_tokens == request.num_prompt_tokens + self.drawn[name]
                tokens[name].append(token_of(name.partition("\0")[0], self.drawn[name]))
                self.drawn[name] += 1
        return tokens

    def _deliver(self) -> None:
        planned, tokens = self._computing.popleft()
        names = list(tokens)
        output = importlib.import_module("vllm.v1.outputs").ModelRunnerOutput(
            req_ids=names,
            req_id_to_index={name: place for place, name in enumerate(names)},
            sampled_token_ids=[tokens[name] for name in names],
        )
        for client in self.scheduler.update_from_output(planned, output).values():
            for item in client.outputs:
                self.got[item.request_id] += item.new_token_ids
                if item.finish_reason is not None:
                    self.ended.add(item.request_id)

    def leave(self, name: str) -> None:
        requests = importlib.import_module("vllm.v1.request")
        self.scheduler.finish_requests(name, requests.RequestStatus.FINISHED_ABORTED)


@pytest.fixture
def late(config: Any) -> Late:
    hashing = importlib.import_module("vllm.v1.core.kv_cache_utils")
    algorithm = importlib.import_module("vllm.utils.hashing").get_hash_fn_by_name("sha256")
    hashing.init_none_hash(algorithm)
    return Late(scheduler_of(config), hashing.get_request_block_hasher(BLOCK, algorithm))


@pytest.mark.parametrize("seed", range(6))
def test_every_pair_stays_in_step_whatever_is_preempted_left_or_late(late: Late, seed: int) -> None:
    draw = random.Random(seed)
    wanted = [
        Wanted(
            name=f"request {seed} {place}",
            prompt_count=draw.randrange(2, 100),
            unconditional_count=draw.choice((0, 2, 17, 40, 90)),
            max_tokens=draw.choice((1, 2, 30, 150)),
        )
        for place in range(40)
    ]
    left, arriving, steps = set[str](), deque(wanted), 0
    while arriving or late.scheduler.has_unfinished_requests():
        if arriving and draw.random() < 0.3:
            late.add(arriving.popleft())
        running = [name for name in late.got if name not in late.ended | left]
        if running and draw.random() < 0.01:
            leaver = draw.choice(running)
            left.add(leaver)
            late.leave(leaver)
        late.step()
        steps += 1
        assert steps < 20_000, "the scheduler is stuck"
    late.step()

    for request in wanted:
        expected = request.written()
        if request.name in left:
            assert late.got[request.name] == expected[: len(late.got[request.name])]
        else:
            assert late.got[request.name] == expected
    assert late.preemptions > 0
    assert late.scheduler.kv_cache_manager.reset_prefix_cache()
    assert not late.scheduler._partners
    assert not late.scheduler._shadows


@pytest.mark.parametrize("prompt_count", [33, 43, 48])
def test_what_a_request_wrote_is_found_again_in_the_cache_to_the_last_whole_block(
    late: Late, prompt_count: int
) -> None:
    """Most steps leave the blocks alone (`SteadyBlocks`); none that fills one may be missed."""
    wanted = Wanted(name="a", prompt_count=prompt_count, unconditional_count=20, max_tokens=70)
    late.add(wanted)
    steps = 0
    while late.scheduler.has_unfinished_requests():
        late.step()
        steps += 1
        assert steps < 200
    late.step()
    computed = [*wanted.prompt(), *late.got["a"]][:-1]  # nobody has read the last token

    sampling = importlib.import_module("vllm.sampling_params")
    again = late.request("again", [*computed, 1], sampling.SamplingParams(max_tokens=1))
    _, found = late.scheduler.kv_cache_manager.get_computed_blocks(again)[:2]

    assert len(computed) > prompt_count + 2 * BLOCK
    assert found == len(computed) // BLOCK * BLOCK
