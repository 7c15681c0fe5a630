"""A `GenerateMusicRequest`, checked and with every default filled in."""

import math
import re
from dataclasses import dataclass

from acestep.gateway.v1 import music_service_pb2 as pb
from acestep.lm.v1 import lm_service_pb2 as lm_pb
from acestep.music.v1 import music_pb2
from common.errors import AceError, Kind
from common.fields import FieldChecker
from common.lm_sampling import (
    DEFAULT_CFG_SCALE,
    MAX_CFG_SCALE,
    MIN_CFG_SCALE,
    check_sampling,
    with_defaults,
)
from common.music import (
    CODE_RATE_HZ,
    MAX_BATCH,
    MAX_CAPTION_CHARACTERS,
    MAX_CODES,
    MAX_LYRICS_CHARACTERS,
    UNKNOWN_LANGUAGE,
)
from common.telemetry import REQUEST_ID, new_request_id
from gateway import planning, seeds
from gateway.encoding import FORMATS, MP3_LEVELS

REQUEST_ID_PATTERN = re.compile(r"[A-Za-z0-9_-]{0,64}")
NO_USER_INPUT = "NO USER INPUT"
MAX_INSTRUCTION_CHARACTERS = 512
MAX_FADE_S = 60.0
MIN_NORMALIZATION_DB = -60.0

LM_DEFAULTS = pb.LmParams(
    thinking=True,
    sampling=with_defaults(music_pb2.LmSampling(), top_p=0.9),
    cfg_scale=DEFAULT_CFG_SCALE,
    negative_prompt=NO_USER_INPUT,
    chain_of_thought=music_pb2.ChainOfThought(
        use_cot_metas=True, use_cot_caption=True, use_cot_language=True, use_cot_lyrics=False
    ),
    batch_chunk_size=MAX_BATCH,
    allow_batch=True,
)
"""With a language model that recommends nothing."""
OUTPUT_DEFAULTS = pb.OutputParams(
    audio_format=music_pb2.AUDIO_FORMAT_FLAC,
    enable_normalization=True,
    normalization_db=-1.0,
    fade_in_seconds=0.0,
    fade_out_seconds=0.0,
)
DEFAULT_MP3_BITS_PER_SECOND = 192_000


@dataclass(frozen=True, slots=True)
class Order:
    """A request that will be carried out."""

    request: pb.GenerateMusicRequest
    """With every default filled in."""
    seeds: tuple[seeds.SongSeeds, ...]
    plan_seed: int
    calls: planning.Calls

    @property
    def song_count(self) -> int:
        return len(self.seeds)

    def warnings(self) -> list[str]:
        """What may surprise about it, in words."""
        if not (self.calls.codes and self.request.HasField("duration_seconds")):
            return []
        asked_s = self.request.duration_seconds
        made_s = math.floor(asked_s * CODE_RATE_HZ) / CODE_RATE_HZ
        if made_s == asked_s:
            return []
        return [f"the song gets {made_s:g} s, not {asked_s:g} s: a code is {1 / CODE_RATE_HZ:g} s of sound"]


def lm_defaults(lm: lm_pb.GetModelInfoResponse | AceError) -> pb.LmParams:
    """What absent parameters of the language model become; `AceError` stands for one that is not there."""
    defaults = pb.LmParams()
    defaults.CopyFrom(LM_DEFAULTS)
    if not isinstance(lm, AceError) and lm.HasField("recommended_cfg_scale"):
        defaults.cfg_scale = lm.recommended_cfg_scale
    return defaults


def order(request: pb.GenerateMusicRequest, defaults: pb.LmParams = LM_DEFAULTS) -> Order:
    """Check every field that does not depend on a diffusion model, and fill in the defaults.

    `defaults` are those of the language model. Raises `AceError` (INVALID) with every violation, or
    UNIMPLEMENTED.
    """
    check = FieldChecker()
    _check_text(check, request)
    _check_metadata(check, request)
    _check_lm(check, request.lm)
    _check_batch(check, request.batch)
    _check_output(check, request.output)
    check.done()
    if request.lm.chain_of_thought.use_cot_lyrics:
        raise AceError(
            Kind.UNIMPLEMENTED,
            "COT_LYRICS_NOT_OFFERED",
            "lm.chain_of_thought.use_cot_lyrics must be false: no released model rewrites lyrics this way",
            field="lm.chain_of_thought.use_cot_lyrics",
            rule="must be false",
            value=True,
        )
    effective = _effective(request, defaults)
    songs = seeds.resolve(effective.batch)
    batch = effective.batch
    fixed_plan = batch.HasField("plan_seed") and not batch.use_random_seed
    plan_seed = batch.plan_seed if fixed_plan else songs[0].lm
    return Order(effective, songs, plan_seed, planning.calls(effective))


def _check_text(check: FieldChecker, request: pb.GenerateMusicRequest) -> None:
    if not REQUEST_ID_PATTERN.fullmatch(request.request_id):
        check.refuse(
            "request_id",
            "must have at most 64 characters of A-Z, a-z, 0-9, _ and -",
            f"{len(request.request_id)} characters",
        )
    check.text("caption", request.caption, MAX_CAPTION_CHARACTERS)
    check.text("lyrics", request.lyrics, MAX_LYRICS_CHARACTERS)
    check.text("instruction", request.instruction, MAX_INSTRUCTION_CHARACTERS)
    check.text("lm.negative_prompt", request.lm.negative_prompt, MAX_CAPTION_CHARACTERS)
    if request.task not in music_pb2.Task.values():
        check.refuse("task", "must be a known task", request.task)
    text_to_music = request.task in (music_pb2.TASK_UNSPECIFIED, music_pb2.TASK_TEXT2MUSIC)
    if text_to_music and not (request.caption.strip() or request.lyrics.strip() or request.audio_codes):
        check.refuse("caption", "must be given if lyrics are not", "neither")
    for source in planning.SOURCES:
        if text_to_music and request.HasField(source):
            received = "an id" if source == "source_audio_id" else "latents"
            check.refuse(source, "must be absent for text2music", received)
    if all(request.HasField(source) for source in planning.SOURCES):
        check.refuse("source_latents", "must be absent with source_audio_id", "both")
    if not text_to_music and planning.has_source(request) and request.HasField("duration_seconds"):
        check.refuse("duration_seconds", "must be absent: the source decides it", request.duration_seconds)


def _check_metadata(check: FieldChecker, request: pb.GenerateMusicRequest) -> None:
    if request.HasField("bpm"):
        check.bpm("bpm", request.bpm)
    if request.HasField("keyscale"):
        check.keyscale("keyscale", request.keyscale)
    if request.HasField("timesignature"):
        check.timesignature("timesignature", request.timesignature)
    if request.HasField("duration_seconds"):
        check.duration("duration_seconds", request.duration_seconds)
    if request.HasField("vocal_language"):
        check.language("vocal_language", request.vocal_language)
    if len(request.audio_codes) > MAX_CODES:
        check.refuse(
            "audio_codes", f"must have at most {MAX_CODES} codes", f"{len(request.audio_codes)} codes"
        )


def _check_lm(check: FieldChecker, lm: pb.LmParams) -> None:
    check_sampling(check, "lm.sampling", lm.sampling)
    if lm.sampling.HasField("seed"):
        check.refuse("lm.sampling.seed", "must be absent: use batch.lm_seeds", lm.sampling.seed)
    if lm.HasField("cfg_scale"):
        check.within("lm.cfg_scale", lm.cfg_scale, MIN_CFG_SCALE, MAX_CFG_SCALE)
    if lm.HasField("batch_chunk_size"):
        check.integer("lm.batch_chunk_size", lm.batch_chunk_size, 1, MAX_BATCH)


def _check_batch(check: FieldChecker, batch: pb.BatchParams) -> None:
    size = check.integer(
        "batch.batch_size", batch.batch_size if batch.HasField("batch_size") else 1, 1, MAX_BATCH
    )
    for name in ("seeds", "lm_seeds", "dit_seeds"):
        given = getattr(batch, name)
        if len(given) > size:
            check.refuse(
                f"batch.{name}", f"must have at most batch_size = {size} seeds", f"{len(given)} seeds"
            )
        for place, seed in enumerate(given[:size]):
            check.seed(f"batch.{name}[{place}]", seed)

    if batch.HasField("plan_seed"):
        check.seed("batch.plan_seed", batch.plan_seed)


def _check_output(check: FieldChecker, output: pb.OutputParams) -> None:
    audio_format = output.audio_format or music_pb2.AUDIO_FORMAT_FLAC
    if audio_format not in FORMATS:
        check.refuse("output.audio_format", "must be FLAC, WAV, MP3 or WAV32", audio_format)
    if output.HasField("mp3_bits_per_second"):
        given = output.mp3_bits_per_second
        if audio_format != music_pb2.AUDIO_FORMAT_MP3:
            check.refuse("output.mp3_bits_per_second", "must be absent unless the format is MP3", given)
        elif given not in MP3_LEVELS:
            rates = ", ".join(str(rate) for rate in sorted(MP3_LEVELS))
            check.refuse("output.mp3_bits_per_second", f"must be one of {rates}", given)
    if output.HasField("normalization_db"):
        check.within("output.normalization_db", output.normalization_db, MIN_NORMALIZATION_DB, 0.0)
    for name in ("fade_in_seconds", "fade_out_seconds"):
        check.within(f"output.{name}", getattr(output, name), 0.0, MAX_FADE_S)


def _effective(request: pb.GenerateMusicRequest, defaults: pb.LmParams) -> pb.GenerateMusicRequest:
    """A copy with every default that does not depend on a diffusion model filled in."""
    lm, output = pb.LmParams(), pb.OutputParams()
    lm.CopyFrom(defaults)
    lm.MergeFrom(request.lm)
    if not lm.allow_batch:
        lm.batch_chunk_size = 1
    output.CopyFrom(OUTPUT_DEFAULTS)
    output.MergeFrom(request.output)
    if output.audio_format == music_pb2.AUDIO_FORMAT_UNSPECIFIED:
        output.audio_format = OUTPUT_DEFAULTS.audio_format
    if output.audio_format == music_pb2.AUDIO_FORMAT_MP3 and not output.HasField("mp3_bits_per_second"):
        output.mp3_bits_per_second = DEFAULT_MP3_BITS_PER_SECOND
    effective = pb.GenerateMusicRequest()
    effective.CopyFrom(request)
    effective.request_id = request.request_id or REQUEST_ID.get() or new_request_id()
    effective.task = request.task or music_pb2.TASK_TEXT2MUSIC
    if not effective.vocal_language or request.instrumental:
        effective.vocal_language = UNKNOWN_LANGUAGE
    if request.HasField("keyscale"):
        effective.keyscale = FieldChecker().keyscale("keyscale", request.keyscale)
    if request.HasField("timesignature"):
        effective.timesignature = FieldChecker().timesignature("timesignature", request.timesignature)
    effective.lm.CopyFrom(lm)
    if request.task == music_pb2.TASK_REPAINT and not request.output.HasField("enable_normalization"):
        output.ClearField("enable_normalization")  # it would change the samples that a repaint keeps
    effective.output.CopyFrom(output)
    if not effective.batch.HasField("batch_size"):
        effective.batch.batch_size = 1
    return effective
