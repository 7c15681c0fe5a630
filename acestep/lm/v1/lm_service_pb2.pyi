from acestep.music.v1 import music_pb2 as _music_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class LmProgress(_message.Message):
    __slots__ = ("token_count", "expected_token_count", "tokens_per_second", "estimated_remaining_seconds")
    TOKEN_COUNT_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_TOKEN_COUNT_FIELD_NUMBER: _ClassVar[int]
    TOKENS_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    ESTIMATED_REMAINING_SECONDS_FIELD_NUMBER: _ClassVar[int]
    token_count: int
    expected_token_count: int
    tokens_per_second: float
    estimated_remaining_seconds: float
    def __init__(self, token_count: _Optional[int] = ..., expected_token_count: _Optional[int] = ..., tokens_per_second: _Optional[float] = ..., estimated_remaining_seconds: _Optional[float] = ...) -> None: ...

class PlanField(_message.Message):
    __slots__ = ("name", "value")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: str
    def __init__(self, name: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...

class LmUsage(_message.Message):
    __slots__ = ("model", "seed", "prompt_token_count", "output_token_count", "queue_seconds", "run_seconds")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    PROMPT_TOKEN_COUNT_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_TOKEN_COUNT_FIELD_NUMBER: _ClassVar[int]
    QUEUE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    RUN_SECONDS_FIELD_NUMBER: _ClassVar[int]
    model: _music_pb2.ModelVersion
    seed: int
    prompt_token_count: int
    output_token_count: int
    queue_seconds: float
    run_seconds: float
    def __init__(self, model: _Optional[_Union[_music_pb2.ModelVersion, _Mapping]] = ..., seed: _Optional[int] = ..., prompt_token_count: _Optional[int] = ..., output_token_count: _Optional[int] = ..., queue_seconds: _Optional[float] = ..., run_seconds: _Optional[float] = ...) -> None: ...

class SongDescription(_message.Message):
    __slots__ = ("metadata", "lyrics")
    METADATA_FIELD_NUMBER: _ClassVar[int]
    LYRICS_FIELD_NUMBER: _ClassVar[int]
    metadata: _music_pb2.SongMetadata
    lyrics: str
    def __init__(self, metadata: _Optional[_Union[_music_pb2.SongMetadata, _Mapping]] = ..., lyrics: _Optional[str] = ...) -> None: ...

class PlanRequest(_message.Message):
    __slots__ = ("caption", "lyrics", "fixed", "chain_of_thought", "sampling", "model")
    CAPTION_FIELD_NUMBER: _ClassVar[int]
    LYRICS_FIELD_NUMBER: _ClassVar[int]
    FIXED_FIELD_NUMBER: _ClassVar[int]
    CHAIN_OF_THOUGHT_FIELD_NUMBER: _ClassVar[int]
    SAMPLING_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    caption: str
    lyrics: str
    fixed: _music_pb2.SongMetadata
    chain_of_thought: _music_pb2.ChainOfThought
    sampling: _music_pb2.LmSampling
    model: str
    def __init__(self, caption: _Optional[str] = ..., lyrics: _Optional[str] = ..., fixed: _Optional[_Union[_music_pb2.SongMetadata, _Mapping]] = ..., chain_of_thought: _Optional[_Union[_music_pb2.ChainOfThought, _Mapping]] = ..., sampling: _Optional[_Union[_music_pb2.LmSampling, _Mapping]] = ..., model: _Optional[str] = ...) -> None: ...

class PlanResponse(_message.Message):
    __slots__ = ("queued", "progress", "field", "result")
    class Result(_message.Message):
        __slots__ = ("metadata", "usage")
        METADATA_FIELD_NUMBER: _ClassVar[int]
        USAGE_FIELD_NUMBER: _ClassVar[int]
        metadata: _music_pb2.SongMetadata
        usage: LmUsage
        def __init__(self, metadata: _Optional[_Union[_music_pb2.SongMetadata, _Mapping]] = ..., usage: _Optional[_Union[LmUsage, _Mapping]] = ...) -> None: ...
    QUEUED_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    queued: _music_pb2.QueueStatus
    progress: LmProgress
    field: PlanField
    result: PlanResponse.Result
    def __init__(self, queued: _Optional[_Union[_music_pb2.QueueStatus, _Mapping]] = ..., progress: _Optional[_Union[LmProgress, _Mapping]] = ..., field: _Optional[_Union[PlanField, _Mapping]] = ..., result: _Optional[_Union[PlanResponse.Result, _Mapping]] = ...) -> None: ...

class GenerateCodesRequest(_message.Message):
    __slots__ = ("caption", "lyrics", "metadata", "duration_seconds", "cfg_scale", "negative_prompt", "sampling", "model")
    CAPTION_FIELD_NUMBER: _ClassVar[int]
    LYRICS_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    DURATION_SECONDS_FIELD_NUMBER: _ClassVar[int]
    CFG_SCALE_FIELD_NUMBER: _ClassVar[int]
    NEGATIVE_PROMPT_FIELD_NUMBER: _ClassVar[int]
    SAMPLING_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    caption: str
    lyrics: str
    metadata: _music_pb2.SongMetadata
    duration_seconds: float
    cfg_scale: float
    negative_prompt: str
    sampling: _music_pb2.LmSampling
    model: str
    def __init__(self, caption: _Optional[str] = ..., lyrics: _Optional[str] = ..., metadata: _Optional[_Union[_music_pb2.SongMetadata, _Mapping]] = ..., duration_seconds: _Optional[float] = ..., cfg_scale: _Optional[float] = ..., negative_prompt: _Optional[str] = ..., sampling: _Optional[_Union[_music_pb2.LmSampling, _Mapping]] = ..., model: _Optional[str] = ...) -> None: ...

class GenerateCodesResponse(_message.Message):
    __slots__ = ("queued", "progress", "codes", "result")
    class Codes(_message.Message):
        __slots__ = ("codes",)
        CODES_FIELD_NUMBER: _ClassVar[int]
        codes: _containers.RepeatedScalarFieldContainer[int]
        def __init__(self, codes: _Optional[_Iterable[int]] = ...) -> None: ...
    class Result(_message.Message):
        __slots__ = ("code_count", "usage")
        CODE_COUNT_FIELD_NUMBER: _ClassVar[int]
        USAGE_FIELD_NUMBER: _ClassVar[int]
        code_count: int
        usage: LmUsage
        def __init__(self, code_count: _Optional[int] = ..., usage: _Optional[_Union[LmUsage, _Mapping]] = ...) -> None: ...
    QUEUED_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    CODES_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    queued: _music_pb2.QueueStatus
    progress: LmProgress
    codes: GenerateCodesResponse.Codes
    result: GenerateCodesResponse.Result
    def __init__(self, queued: _Optional[_Union[_music_pb2.QueueStatus, _Mapping]] = ..., progress: _Optional[_Union[LmProgress, _Mapping]] = ..., codes: _Optional[_Union[GenerateCodesResponse.Codes, _Mapping]] = ..., result: _Optional[_Union[GenerateCodesResponse.Result, _Mapping]] = ...) -> None: ...

class UnderstandRequest(_message.Message):
    __slots__ = ("audio_codes", "sampling", "model")
    AUDIO_CODES_FIELD_NUMBER: _ClassVar[int]
    SAMPLING_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    audio_codes: _containers.RepeatedScalarFieldContainer[int]
    sampling: _music_pb2.LmSampling
    model: str
    def __init__(self, audio_codes: _Optional[_Iterable[int]] = ..., sampling: _Optional[_Union[_music_pb2.LmSampling, _Mapping]] = ..., model: _Optional[str] = ...) -> None: ...

class UnderstandResponse(_message.Message):
    __slots__ = ("queued", "progress", "field", "result")
    class Result(_message.Message):
        __slots__ = ("description", "usage")
        DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
        USAGE_FIELD_NUMBER: _ClassVar[int]
        description: SongDescription
        usage: LmUsage
        def __init__(self, description: _Optional[_Union[SongDescription, _Mapping]] = ..., usage: _Optional[_Union[LmUsage, _Mapping]] = ...) -> None: ...
    QUEUED_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    queued: _music_pb2.QueueStatus
    progress: LmProgress
    field: PlanField
    result: UnderstandResponse.Result
    def __init__(self, queued: _Optional[_Union[_music_pb2.QueueStatus, _Mapping]] = ..., progress: _Optional[_Union[LmProgress, _Mapping]] = ..., field: _Optional[_Union[PlanField, _Mapping]] = ..., result: _Optional[_Union[UnderstandResponse.Result, _Mapping]] = ...) -> None: ...

class CreateSampleRequest(_message.Message):
    __slots__ = ("query", "instrumental", "vocal_language", "sampling", "model")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENTAL_FIELD_NUMBER: _ClassVar[int]
    VOCAL_LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    SAMPLING_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    query: str
    instrumental: bool
    vocal_language: str
    sampling: _music_pb2.LmSampling
    model: str
    def __init__(self, query: _Optional[str] = ..., instrumental: _Optional[bool] = ..., vocal_language: _Optional[str] = ..., sampling: _Optional[_Union[_music_pb2.LmSampling, _Mapping]] = ..., model: _Optional[str] = ...) -> None: ...

class CreateSampleResponse(_message.Message):
    __slots__ = ("queued", "progress", "field", "result")
    class Result(_message.Message):
        __slots__ = ("description", "usage")
        DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
        USAGE_FIELD_NUMBER: _ClassVar[int]
        description: SongDescription
        usage: LmUsage
        def __init__(self, description: _Optional[_Union[SongDescription, _Mapping]] = ..., usage: _Optional[_Union[LmUsage, _Mapping]] = ...) -> None: ...
    QUEUED_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    queued: _music_pb2.QueueStatus
    progress: LmProgress
    field: PlanField
    result: CreateSampleResponse.Result
    def __init__(self, queued: _Optional[_Union[_music_pb2.QueueStatus, _Mapping]] = ..., progress: _Optional[_Union[LmProgress, _Mapping]] = ..., field: _Optional[_Union[PlanField, _Mapping]] = ..., result: _Optional[_Union[CreateSampleResponse.Result, _Mapping]] = ...) -> None: ...

class FormatSampleRequest(_message.Message):
    __slots__ = ("caption", "lyrics", "fixed", "sampling", "model")
    CAPTION_FIELD_NUMBER: _ClassVar[int]
    LYRICS_FIELD_NUMBER: _ClassVar[int]
    FIXED_FIELD_NUMBER: _ClassVar[int]
    SAMPLING_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    caption: str
    lyrics: str
    fixed: _music_pb2.SongMetadata
    sampling: _music_pb2.LmSampling
    model: str
    def __init__(self, caption: _Optional[str] = ..., lyrics: _Optional[str] = ..., fixed: _Optional[_Union[_music_pb2.SongMetadata, _Mapping]] = ..., sampling: _Optional[_Union[_music_pb2.LmSampling, _Mapping]] = ..., model: _Optional[str] = ...) -> None: ...

class FormatSampleResponse(_message.Message):
    __slots__ = ("queued", "progress", "field", "result")
    class Result(_message.Message):
        __slots__ = ("description", "usage")
        DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
        USAGE_FIELD_NUMBER: _ClassVar[int]
        description: SongDescription
        usage: LmUsage
        def __init__(self, description: _Optional[_Union[SongDescription, _Mapping]] = ..., usage: _Optional[_Union[LmUsage, _Mapping]] = ...) -> None: ...
    QUEUED_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    queued: _music_pb2.QueueStatus
    progress: LmProgress
    field: PlanField
    result: FormatSampleResponse.Result
    def __init__(self, queued: _Optional[_Union[_music_pb2.QueueStatus, _Mapping]] = ..., progress: _Optional[_Union[LmProgress, _Mapping]] = ..., field: _Optional[_Union[PlanField, _Mapping]] = ..., result: _Optional[_Union[FormatSampleResponse.Result, _Mapping]] = ...) -> None: ...

class GetModelInfoRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetModelInfoResponse(_message.Message):
    __slots__ = ("model", "code_count", "max_token_count", "max_row_count", "max_queued_count", "recommended_cfg_scale")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    CODE_COUNT_FIELD_NUMBER: _ClassVar[int]
    MAX_TOKEN_COUNT_FIELD_NUMBER: _ClassVar[int]
    MAX_ROW_COUNT_FIELD_NUMBER: _ClassVar[int]
    MAX_QUEUED_COUNT_FIELD_NUMBER: _ClassVar[int]
    RECOMMENDED_CFG_SCALE_FIELD_NUMBER: _ClassVar[int]
    model: _music_pb2.ModelVersion
    code_count: int
    max_token_count: int
    max_row_count: int
    max_queued_count: int
    recommended_cfg_scale: float
    def __init__(self, model: _Optional[_Union[_music_pb2.ModelVersion, _Mapping]] = ..., code_count: _Optional[int] = ..., max_token_count: _Optional[int] = ..., max_row_count: _Optional[int] = ..., max_queued_count: _Optional[int] = ..., recommended_cfg_scale: _Optional[float] = ...) -> None: ...
