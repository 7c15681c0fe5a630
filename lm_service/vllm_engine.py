"""The language model on vLLM: its own process, one continuous batch."""

import asyncio
import logging
import uuid
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path
from typing import Any

from vllm import AsyncEngineArgs, SamplingParams
from vllm.exceptions import VLLMValidationError
from vllm.platforms import current_platform
from vllm.sampling_params import RequestOutputKind
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError
from vllm.v1.metrics.loggers import StatLoggerBase

from common.errors import AceError, Kind
from common.revision import of_checkpoint
from lm_service import checkpoint
from lm_service.engine import Job, Model
from lm_service.grammar import Grammar
from lm_service.guidance import compatibility
from lm_service.guidance.processor import CODE_COUNT
from lm_service.guidance.request import to_extra_args
from lm_service.settings import Device, Settings
from lm_service.vllm_loader import LOAD_FORMAT
from lm_service.vocabulary import Vocabulary, read_code_count

logger = logging.getLogger(__name__)

DTYPES = {Device.CPU: "float32", Device.CUDA: "bfloat16"}


DEATH_CHECK_S = 0.2
COUNT_EVERY_S = 5.0

RESTART_S = 30.0
"""What callers of a dead engine are told: about how long a restarted service takes to load."""


class EngineStats(StatLoggerBase):  # type: ignore[misc]
    """What the scheduler reported last, and preemptions since the start (a guided pair counts once)."""

    def __init__(self) -> None:
        self.preemption_count = 0
        self.running_rows = 0
        self.kv_cache_usage = 0.0

    def record(self, scheduler_stats: Any, iteration_stats: Any, *args: Any, **kwargs: Any) -> None:
        if scheduler_stats is not None:
            self.running_rows = scheduler_stats.num_running_reqs
            self.kv_cache_usage = scheduler_stats.kv_cache_usage
        if iteration_stats is not None:
            self.preemption_count += iteration_stats.num_preempted_reqs

    def log_engine_initialized(self) -> None:
        """Nothing to say: the service logs its own start."""


class VllmEngine:
    """An `Engine`. `load` starts it, `close` ends its process."""

    def __init__(self, llm: AsyncLLM, model: Model, stats: EngineStats) -> None:
        self._llm = llm
        self._model = model
        self.stats = stats
        self._mask_counts: dict[str, int] = {}
        self._counting = asyncio.create_task(self._count())

    @classmethod
    async def load(cls, settings: Settings, **engine_args: Any) -> "VllmEngine":
        """Check the checkpoint and start the engine; takes from seconds to a minute.

        `engine_args` override our arguments to vLLM. Raises `FileNotFoundError`, `ValueError` or
        `RuntimeError` that says what does not fit.
        """
        compatibility.check()
        if current_platform.device_type != settings.device.value:
            raise ValueError(
                f"device is {settings.device.value}, but this machine's vLLM computes on"
                f" {current_platform.device_type or 'nothing'}"
            )
        folder = checkpoint.choose(settings.models, settings.model)
        model = await asyncio.to_thread(_model, folder, settings)
        stats = EngineStats()
        args = AsyncEngineArgs(**_engine_args(folder, settings, model.code_count) | engine_args)
        llm = await asyncio.to_thread(
            AsyncLLM.from_engine_args, args, stat_loggers=[lambda config, index: stats]
        )
        return cls(llm, model, stats)

    @property
    def model(self) -> Model:
        return self._model

    @property
    def cache_token_count(self) -> int:
        config = self._llm.vllm_config.cache_config
        return int(config.block_size * (config.num_gpu_blocks - 1))  # vLLM keeps one empty block

    async def generate(self, job: Job) -> AsyncGenerator[tuple[int, ...], None]:
        params = SamplingParams(
            temperature=0,  # the processor draws
            max_tokens=job.max_tokens,
            stop_token_ids=list(job.stop_tokens),
            detokenize=False,
            output_kind=RequestOutputKind.DELTA,
            extra_args=to_extra_args(job.task),
        )
        # Closing this generator closes vLLM's, which aborts the request.
        outputs = self._llm.generate({"prompt_token_ids": list(job.prompt)}, params, uuid.uuid4().hex)
        try:
            async for output in outputs:
                (completion,) = output.outputs
                if completion.finish_reason == "error":
                    raise _refused()
                if completion.token_ids:
                    yield tuple(completion.token_ids)
        except VLLMValidationError as error:
            raise _refused() from error
        except EngineDeadError as error:
            raise _dead() from error
        finally:
            await outputs.aclose()

    def unfinished_count(self) -> int:
        return int(self._llm.get_num_unfinished_requests())

    def preemption_count(self) -> int:
        """Since the start; a guided pair counts once."""
        return self.stats.preemption_count

    def running_row_count(self) -> int:
        return self.stats.running_rows

    def cache_used_ratio(self) -> float:
        return self.stats.kv_cache_usage

    def mask_counts(self) -> dict[str, int]:
        """Masks served since the start, by kind; some seconds old."""
        return self._mask_counts

    async def forget_prefixes(self) -> bool:
        """Empty the cache of prompts that were read before; False if a block of it is in use."""
        return bool(await self._llm.reset_prefix_cache())

    async def until_dead(self) -> None:
        """Return when the engine's process has failed; vLLM can only be asked."""
        while not self._llm.errored:
            await asyncio.sleep(DEATH_CHECK_S)

    async def _count(self) -> None:
        """Ask the engine's process for what is counted there."""
        with suppress(EngineDeadError):
            while True:
                (self._mask_counts,) = await self._llm.collective_rpc("mask_counts")
                await asyncio.sleep(COUNT_EVERY_S)

    def close(self) -> None:
        self._counting.cancel()
        self._llm.shutdown()


def _refused() -> AceError:
    return AceError(Kind.INTERNAL, "ENGINE_REFUSED", "the engine refused the request")


def _dead() -> AceError:
    return AceError(
        Kind.UNAVAILABLE,
        "ENGINE_DEAD",
        "the engine has died; the service starts again",
        retry_after_s=RESTART_S,
    )


def _model(folder: Path, settings: Settings) -> Model:
    """Blocking: the released tokenizers take seconds, and weights without a revision are all read."""
    checkpoint.verify(folder)
    code_count = read_code_count(settings.codec_config_path)
    grammar = Grammar(Vocabulary.load(folder), code_count)
    if len(grammar.window.codes) != code_count:
        raise ValueError(
            f"{folder.name} has tokens for {len(grammar.window.codes)} audio codes;"
            f" the code book of {settings.codec_config_path} has {code_count}"
        )
    checkpoint.verify_vocabulary(folder, grammar.vocabulary.size)
    return Model(
        revision=of_checkpoint(folder),
        grammar=grammar,
        max_model_len=settings.max_model_len,
        recommended_cfg_scale=checkpoint.recommended_cfg_scale(folder),
    )


def _engine_args(folder: Path, settings: Settings, code_count: int) -> dict[str, Any]:
    return {
        "model": str(folder),
        "served_model_name": folder.name,
        "skip_tokenizer_init": True,  # prompts arrive as ids, text is decoded here
        # Released checkpoints name the bare network, which vLLM would take for an embedding model.
        "hf_overrides": {"architectures": ["Qwen3ForCausalLM"]},
        "load_format": LOAD_FORMAT,
        "worker_extension_cls": "lm_service.vllm_loader.WorkerExtension",
        "dtype": DTYPES[settings.device],
        "enforce_eager": settings.device is Device.CPU,
        "max_model_len": settings.max_model_len,
        "max_num_seqs": settings.max_rows,
        "kv_cache_memory_bytes": int(settings.kv_cache_gib * 2**30),
        "async_scheduling": settings.device is Device.CUDA,  # vLLM has none on a CPU
        "scheduler_cls": "lm_service.guidance.scheduler.GuidedScheduler",
        "logits_processors": ["lm_service.guidance.processor:GuidedProcessor"],
        "additional_config": {CODE_COUNT: code_count},
        "seed": 0,
    }
