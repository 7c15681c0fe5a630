"""The request that makes a song again: from its codes and its plan, without the language model.

What the language model decided is in the song's codes and plan, so they are sent as given. The
diffusion is then asked for the very same, whatever machine the language model ran on.
"""

from acestep.gateway.v1 import music_service_pb2 as pb

PLANNED = ("bpm", "keyscale", "timesignature", "duration_seconds")


def request_again(
    effective: pb.GenerateMusicRequest, plan: pb.Plan, song: pb.Song
) -> pb.GenerateMusicRequest:
    """A request for `song` alone, from what its generation told (`Accepted.effective`, `Plan`).

    An uploaded reference has to be uploaded again, and latents to be sent again.
    """
    again = pb.GenerateMusicRequest()
    again.CopyFrom(effective)
    for field in ("request_id", "lm_model", "lm", "batch", "instrumental", "audio_codes", *PLANNED):
        again.ClearField(field)
    again.output.ClearField("stream_audio")  # how it was delivered is no part of the song
    again.caption, again.lyrics = plan.metadata.caption, plan.lyrics
    again.vocal_language = plan.metadata.language
    for name in PLANNED:
        if plan.metadata.HasField(name):
            setattr(again, name, getattr(plan.metadata, name))
    again.audio_codes.extend(song.audio_codes)
    again.batch.lm_seeds.append(song.seeds.lm_seed)
    again.batch.dit_seeds.append(song.seeds.dit_seed)
    again.lm.thinking = False
    again.lm.chain_of_thought.use_cot_metas = False
    return again
