"""What can be asked for, as the stages say at this moment."""

from acestep import __version__
from acestep.gateway.v1 import music_service_pb2 as pb
from common.errors import AceError
from common.music import (
    KEYSCALES,
    LANGUAGES,
    MAX_BATCH,
    MAX_BPM,
    MAX_CAPTION_CHARACTERS,
    MAX_CODES,
    MAX_DURATION_S,
    MAX_LYRICS_CHARACTERS,
    MIN_BPM,
    MIN_DURATION_S,
    TIMESIGNATURES,
)
from gateway.encoding import FORMATS
from gateway.request import MAX_INSTRUCTION_CHARACTERS, lm_defaults
from gateway.stages import Info
from gateway.uploads import Uploads


def capabilities(info: Info, uploads: Uploads) -> pb.GetCapabilitiesResponse:
    limits = pb.GetCapabilitiesResponse.Limits(
        max_caption_characters=MAX_CAPTION_CHARACTERS,
        max_lyrics_characters=MAX_LYRICS_CHARACTERS,
        min_duration_seconds=MIN_DURATION_S,
        max_duration_seconds=MAX_DURATION_S,
        min_bpm=MIN_BPM,
        max_bpm=MAX_BPM,
        max_batch_size=MAX_BATCH,
        max_upload_bytes=min(uploads.max_file_bytes, info.dit.max_upload_bytes),
        upload_lifetime_seconds=uploads.lifetime_s,
        max_upload_seconds=MAX_DURATION_S,
        max_instruction_characters=MAX_INSTRUCTION_CHARACTERS,
        max_audio_code_count=MAX_CODES,
    )
    service = pb.DESCRIPTOR.services_by_name["MusicService"]
    return pb.GetCapabilitiesResponse(
        dit_models=[
            pb.GetCapabilitiesResponse.DitModel(
                model=model.model,
                is_turbo=model.is_turbo,
                tasks=model.tasks,
                defaults=model.defaults,
                max_inference_steps=model.max_inference_steps,
            )
            for model in info.dit.models
        ],
        lm_models=[] if isinstance(info.lm, AceError) else [info.lm.model],
        code_count=info.dit.models[0].code_count,
        limits=limits,
        audio_formats=list(FORMATS),
        languages=LANGUAGES,
        keyscales=KEYSCALES,
        timesignatures=TIMESIGNATURES,
        lm_defaults=lm_defaults(info.lm),
        server_version=__version__,
        methods=[method.name for method in service.methods],
    )
