"""The upstream inference API: `generate_music` and its companions, over the network.

The same names, arguments, results and messages as upstream's; only the handlers are connected
instead of loaded. None of the functions raises: a failure is a result with `success` False and
`error` in words. What each field does, and how that is known: docs/inference_api.md.
"""

import logging
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

from acestep.client import SyncClient
from acestep.gateway.v1 import music_service_pb2 as pb
from acestep.handler import AceStepHandler
from acestep.llm_inference import LLMHandler
from acestep.songs import SongCollector
from acestep.upstream import outcome, texts
from acestep.upstream.connection import Gateway
from acestep.upstream.names import Unusable
from acestep.upstream.parameters import GenerationConfig, GenerationParams
from acestep.upstream.problems import explained
from acestep.upstream.progress import Callback, Reporter
from acestep.upstream.request import parse_codes, wish
from acestep.upstream.results import (
    CreateSampleResult,
    FormatSampleResult,
    GenerationResult,
    UnderstandResult,
)

__all__ = [
    "CreateSampleResult",
    "FormatSampleResult",
    "GenerationConfig",
    "GenerationParams",
    "GenerationResult",
    "UnderstandResult",
    "create_sample",
    "format_sample",
    "generate_music",
    "understand_music",
]

logger = logging.getLogger("acestep")

Told = TypeVar("Told", UnderstandResult, CreateSampleResult, FormatSampleResult)


def generate_music(
    dit_handler: AceStepHandler | None,
    llm_handler: LLMHandler | None,
    params: GenerationParams,
    config: GenerationConfig,
    save_dir: str | None = None,
    progress: Callback | None = None,
) -> GenerationResult:
    """Make songs. Without a language model in `llm_handler` the diffusion works alone.

    Files go to `save_dir`, named by their keys. `progress` is called with a share of 1 and `desc=`.
    """
    if dit_handler is None or (gateway := dit_handler.gateway) is None:
        message = "Model not fully initialized. Please initialize all components first."
        return GenerationResult(success=False, error="Model not fully initialized", status_message=message)
    try:
        lm_model = _lm_model(llm_handler, gateway)
        wanted = wish(params, config, dit_handler.model, lm_model)
        asked = outcome.Asked(params, wanted, Path(save_dir) if save_dir else None)
        return _generate(gateway, asked, progress)
    except Exception as error:  # noqa: BLE001 - upstream promises that nothing is raised
        message = explained(error)
        return GenerationResult(success=False, error=message, status_message=f"Error: {message}")


def understand_music(
    llm_handler: LLMHandler | None,
    audio_codes: str,
    temperature: float = 0.85,
    top_k: int | None = None,
    top_p: float | None = None,
    repetition_penalty: float = 1.0,
    use_constrained_decoding: bool = True,
    constrained_decoding_debug: bool = False,
) -> UnderstandResult:
    """Describe audio codes, written as `<|audio_code_123|>`; none at all give an invented example."""

    def ask(client: SyncClient, model: str) -> pb.SongDescription:
        request = pb.UnderstandMusicRequest(
            lm_model=model,
            sampling=texts.sampling(
                temperature,
                top_k,
                top_p,
                repetition_penalty,
                use_constrained_decoding,
                constrained_decoding_debug,
            ),
        )
        return client.understand(request, codes=parse_codes(audio_codes)).result().description

    return _told(UnderstandResult, llm_handler, ask, "Failed to understand audio codes")


def create_sample(
    llm_handler: LLMHandler | None,
    query: str,
    instrumental: bool = False,
    vocal_language: str | None = None,
    temperature: float = 0.85,
    top_k: int | None = None,
    top_p: float | None = None,
    repetition_penalty: float = 1.0,
    use_constrained_decoding: bool = True,
    constrained_decoding_debug: bool = False,
) -> CreateSampleResult:
    """Invent a song from a description in words."""

    def ask(client: SyncClient, model: str) -> pb.SongDescription:
        language = (vocal_language or "").strip()
        request = pb.CreateSampleRequest(
            lm_model=model,
            query=query,
            instrumental=instrumental,
            vocal_language=language if language.lower() not in ("", "unknown") else None,
            sampling=texts.sampling(
                temperature,
                top_k,
                top_p,
                repetition_penalty,
                use_constrained_decoding,
                constrained_decoding_debug,
            ),
        )
        return client.create(request).result().description

    return _told(CreateSampleResult, llm_handler, ask, "Failed to create sample")


def format_sample(
    llm_handler: LLMHandler | None,
    caption: str,
    lyrics: str,
    user_metadata: dict[str, Any] | None = None,
    temperature: float = 0.85,
    top_k: int | None = None,
    top_p: float | None = None,
    repetition_penalty: float = 1.0,
    use_constrained_decoding: bool = True,
    constrained_decoding_debug: bool = False,
) -> FormatSampleResult:
    """Rewrite a caption and lyrics; what `user_metadata` says is kept."""

    def ask(client: SyncClient, model: str) -> pb.SongDescription:
        request = pb.FormatSampleRequest(
            lm_model=model,
            caption=caption,
            lyrics=lyrics,
            user_metadata=texts.user_metadata(user_metadata),
            sampling=texts.sampling(
                temperature,
                top_k,
                top_p,
                repetition_penalty,
                use_constrained_decoding,
                constrained_decoding_debug,
            ),
        )
        return client.format(request).result().description

    return _told(FormatSampleResult, llm_handler, ask, "Failed to format input")


def _lm_model(llm: LLMHandler | None, gateway: Gateway) -> str | None:
    """The model to ask of the gateway of `dit_handler`, or None for none.

    Raises `Unusable` if that one does not have it. Two addresses may be those of one gateway.
    """
    if llm is None or llm.gateway is None:
        return None
    if llm.gateway.address != gateway.address:
        there = [model.name for model in gateway.offered.lm_models]
        if llm.model not in there:
            rule = f"must have a model that is served at {gateway.address}, where dit_handler is connected"
            raise Unusable("llm_handler", rule, llm.model)
        logger.warning(
            "the song is made at %s, where dit_handler is connected; llm_handler is at %s",
            gateway.address,
            llm.gateway.address,
        )
    return llm.model


def _generate(gateway: Gateway, asked: outcome.Asked, progress: Callback | None) -> GenerationResult:
    wanted, folder = asked.wish, asked.save_dir
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)  # before the work, not after it
    reporter = Reporter(progress, max(1, wanted.request.batch.batch_size))
    collector = SongCollector()
    events = gateway.client.generate(wanted.request, source=wanted.source, reference=wanted.reference)
    with closing(events):
        for event in events:
            reporter.show(event)
            collector.add(event)
    return outcome.result(asked, collector.finish())


def _told(
    kind: type[Told],
    llm: LLMHandler | None,
    ask: Callable[[SyncClient, str], pb.SongDescription],
    nothing: str,
) -> Told:
    if llm is None or (gateway := llm.gateway) is None:
        message = "5Hz LM not initialized. Please initialize it first."
        return kind(success=False, error="LLM not initialized", status_message=message)
    try:
        return texts.told(kind, ask(gateway.client, llm.model), nothing)
    except Exception as error:  # noqa: BLE001 - upstream promises that nothing is raised
        message = explained(error)
        return kind(success=False, error=message, status_message=f"Error: {message}")
