"""The options of `acestep-serve generate`: upstream's parameter names, and where each one goes.

Source: the published inference API, `GenerationParams` and `GenerationConfig`.
"""

from collections.abc import Mapping
from typing import Any

import typer

from acestep.gateway.v1 import music_service_pb2 as pb
from acestep.music.v1 import music_pb2
from acestep_serve.options import Option, enum_value, fill, flags_by_field, listed, numbers, parse_codes


def parse_region(text: str) -> music_pb2.Region:
    """Read `5:10`, or `5:` for what goes on to the end."""
    start, colon, end = text.partition(":")
    try:
        region = music_pb2.Region(start_seconds=float(start))
        if end.strip():
            region.end_seconds = float(end)
    except ValueError:
        colon = ""
    if not colon:
        raise ValueError(f"{text!r} is no region, as 5:10 or 32.5:")
    return region


SONG_OPTIONS = (
    Option("caption", str, "caption", "What the music is like."),
    Option("lyrics", str, "lyrics", "Lyrics with [Verse]-like tags; [Instrumental] for none."),
    Option("instrumental", bool, "instrumental", "Instrumental, whatever the lyrics say."),
    Option("vocal_language", str, "vocal_language", "Language of the vocals, such as en."),
    Option("bpm", int, "bpm", "Tempo, 30 to 300."),
    Option("keyscale", str, "keyscale", "Key, such as 'F# minor'."),
    Option("timesignature", str, "timesignature", "2, 3, 4 or 6."),
    Option("duration", float, "duration_seconds", "Length in seconds, 10 to 600."),
    Option("task_type", str, "task", "text2music, cover, repaint, lego, extract or complete.",
               enum_value(music_pb2.Task, "TASK")),
    Option("tracks", str, "tracks", "Of lego and extract one, of complete several, as drums,bass.",
           listed(enum_value(music_pb2.Track, "TRACK"))),
    Option("instruction", str, "instruction", "Overrides the task's instruction to the model."),
    Option("audio_codes", str, "audio_codes", "Codes to follow instead of planned ones.", parse_codes),
    Option("repainting_start", float, "", "Where a repaint starts, in seconds."),
    Option("repainting_end", float, "", "Where a repaint ends; absent: at the end."),
    Option("regions", str, "repaint.regions", "Several regions to repaint, in seconds, as 5:10,32.5:",
           listed(parse_region)),
    Option("repaint_mode", str, "repaint.mode", "conservative, balanced or aggressive.",
           enum_value(music_pb2.RepaintMode, "REPAINT_MODE")),
    Option("repaint_strength", float, "repaint.strength",
           "How freely a balanced repaint changes what is around it, 0 to 1."),
    Option("audio_cover_strength", float, "cover.audio_cover_strength", "How long a source leads, 0 to 1."),
    Option("cover_noise_strength", float, "cover.cover_noise_strength",
           "How near to its source a cover begins, 0 to 1."),
    Option("inference_steps", int, "diffusion.inference_steps", "Denoising steps."),
    Option("guidance_scale", float, "diffusion.guidance_scale", "Guidance of base models, 1 to 15."),
    Option("use_adg", bool, "diffusion.use_adg", "Adaptive dual guidance, base models."),
    Option("cfg_interval_start", float, "diffusion.cfg_interval_start", "Guidance from this t, 0 to 1."),
    Option("cfg_interval_end", float, "diffusion.cfg_interval_end", "Guidance up to this t, 0 to 1."),
    Option("shift", float, "diffusion.shift", "More of the steps near noise, 1 to 5."),
    Option("infer_method", str, "diffusion.infer_method", "ode or sde.",
               enum_value(music_pb2.InferMethod, "INFER_METHOD")),
    Option("timesteps", str, "diffusion.timesteps", "Times to visit, as 0.97,0.76,…,0.", numbers(float)),
    Option("sampler_mode", str, "diffusion.sampler_mode", "euler, or heun: twice the work a step.",
           enum_value(music_pb2.SamplerMode, "SAMPLER_MODE")),
    Option("velocity_norm_threshold", float, "diffusion.velocity_norm_threshold",
           "Most that a velocity may be, as a share of the latents, 0 to 10; 0: no limit."),
    Option("velocity_ema_factor", float, "diffusion.velocity_ema_factor",
           "Share of the step before in each velocity, 0 to 1."),
    Option("dcw_enabled", bool, "diffusion.dcw_enabled", "Correct each step by a wavelet."),
    Option("dcw_mode", str, "diffusion.dcw_mode", "low, high, double or pix.",
           enum_value(music_pb2.DcwMode, "DCW_MODE")),
    Option("dcw_scaler", float, "diffusion.dcw_scaler", "How far the wavelet corrects, 0 to 1."),
    Option("dcw_high_scaler", float, "diffusion.dcw_high_scaler", "The same for fast changes in double."),
    Option("retake_seed", int, "diffusion.retake_seed", "Second seed, whose song a retake turns to."),
    Option("retake_variance", float, "diffusion.retake_variance", "How far it turns, 0 to 1."),
    Option("seed", int, "batch.seeds", "Seed of the first song.", lambda seed: [seed]),
    Option("seeds", str, "batch.seeds", "Seeds by song, as 1,2,3.", numbers(int)),
    Option("lm_seeds", str, "batch.lm_seeds", "Seeds by song, of the language model alone.", numbers(int)),
    Option("dit_seeds", str, "batch.dit_seeds", "Seeds by song, of the diffusion alone.", numbers(int)),
    Option("plan_seed", int, "batch.plan_seed", "Seed of the plan."),
    Option("use_random_seed", bool, "batch.use_random_seed", "Ignore the seeds given."),
    Option("batch_size", int, "batch.batch_size", "Number of songs, 1 to 8; absent: as many as seeds are given."),
    Option("thinking", bool, "lm.thinking", "Let the language model write audio codes."),
    Option("lm_temperature", float, "lm.sampling.temperature", "Temperature of the language model, 0 to 2."),
    Option("lm_cfg_scale", float, "lm.cfg_scale", "Guidance of the codes, 1 to 3; absent: as the language model recommends, or 2."),
    Option("lm_top_k", int, "lm.sampling.top_k", "Keep the k most probable tokens; 0 keeps all."),
    Option("lm_top_p", float, "lm.sampling.top_p", "Keep the tokens that hold this probability."),
    Option("lm_repetition_penalty", float, "lm.sampling.repetition_penalty", "Penalty on repeated tokens."),
    Option("lm_negative_prompt", str, "lm.negative_prompt", "What guidance leads away from."),
    Option("use_cot_metas", bool, "lm.chain_of_thought.use_cot_metas", "Plan bpm, key, … if not given."),
    Option("use_cot_caption", bool, "lm.chain_of_thought.use_cot_caption", "Use the planned caption."),
    Option("use_cot_lyrics", bool, "lm.chain_of_thought.use_cot_lyrics", "Not offered by any model."),
    Option("use_cot_language", bool, "lm.chain_of_thought.use_cot_language", "Plan the language."),
    Option("use_constrained_decoding", bool, "lm.sampling.use_constrained_decoding",
               "Enforce the grammar of the plan."),
    Option("constrained_decoding_debug", bool, "lm.sampling.constrained_decoding_debug",
               "Log the grammar's decisions at the server."),
    Option("allow_lm_batch", bool, "lm.allow_batch", "Write codes for several songs at a time."),
    Option("lm_batch_chunk_size", int, "lm.batch_chunk_size", "Songs in the language model at a time."),
    Option("audio_format", str, "output.audio_format", "flac, wav, mp3 or wav32.",
               enum_value(music_pb2.AudioFormat, "AUDIO_FORMAT")),
    Option("mp3_bits_per_second", int, "output.mp3_bits_per_second", "Bit rate of an MP3, as 192000."),
    Option("enable_normalization", bool, "output.enable_normalization", "Scale the peak to normalization-db."),
    Option("normalization_db", float, "output.normalization_db", "Peak of a song, -60 to 0 dBFS."),
    Option("fade_in_duration", float, "output.fade_in_seconds", "Fade in over so many seconds, 0 to 60."),
    Option("fade_out_duration", float, "output.fade_out_seconds", "Fade out over so many seconds, 0 to 60."),
    Option("model", str, "model", "Diffusion model; see capabilities."),
    Option("lm_model", str, "lm_model", "Language model; see capabilities."),
)  # fmt: skip


FLAGS_OF_COMMAND = {
    "reference_audio_id": "--reference-audio",
    "source_audio_id": "--src-audio",
    "output.stream_audio": "--stream-to",
}
"""Options that the command reads itself, by the field that they lead to."""
REGION_FLAGS = {
    "repaint.regions.start_seconds": "--repainting-start",
    "repaint.regions.end_seconds": "--repainting-end",
}


def song_flags(given: Mapping[str, Any]) -> dict[str, str]:
    """The option that sets each field of a request."""
    flags = FLAGS_OF_COMMAND | flags_by_field(SONG_OPTIONS, given)
    regions = dict.fromkeys(REGION_FLAGS, flags["repaint.regions"]) if given["regions"] else REGION_FLAGS
    return flags | regions


def song_request(given: Mapping[str, Any]) -> pb.GenerateMusicRequest:
    """The request that the options describe. Raises `typer.BadParameter`, naming the option."""
    if given["seed"] is not None and given["seeds"] is not None:
        raise typer.BadParameter("give --seed or --seeds, not both")
    request = pb.GenerateMusicRequest()
    others = fill(request, SONG_OPTIONS, given)
    _count_songs(request.batch)
    start, end = others.get("repainting_start"), others.get("repainting_end")
    if given["regions"] and (start, end) != (None, None):
        raise typer.BadParameter("give --regions, or --repainting-start and --repainting-end, not both")
    if start is not None or end is not None:
        region = request.repaint.regions.add(start_seconds=start or 0.0)
        if end is not None and end != -1:  # upstream writes -1 for the end of the file
            region.end_seconds = end
    return request


def _count_songs(batch: pb.BatchParams) -> None:
    """Several seeds are as many songs, if nothing else is said."""
    seeds = max(len(batch.seeds), len(batch.lm_seeds), len(batch.dit_seeds))
    if seeds > 1 and not batch.HasField("batch_size"):
        batch.batch_size = seeds
