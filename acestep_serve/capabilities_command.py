"""`acestep-serve capabilities`: what the running system offers."""

from acestep.gateway.v1 import music_service_pb2 as pb
from acestep.music.v1 import music_pb2
from acestep_serve.access import connected
from acestep_serve.console import DEFAULT_ADDRESS, Address, AsJson, as_dict, out, print_json, run


def capabilities(address: Address = DEFAULT_ADDRESS, as_json: AsJson = False) -> None:
    """Show models, tasks, defaults, limits and formats."""

    async def work() -> None:
        async with connected(address) as client:
            offered = await client.capabilities()
        if as_json:
            print_json(as_dict(offered))
        else:
            _show(offered)

    run(work(), address)


def _show(offered: pb.GetCapabilitiesResponse) -> None:
    for model in offered.dit_models:
        tasks = ", ".join(music_pb2.Task.Name(task).removeprefix("TASK_").lower() for task in model.tasks)
        defaults = model.defaults
        out.print(
            f"[bold]{model.model.name}[/]  {tasks}\n"
            f"  {defaults.inference_steps} steps (at most {model.max_inference_steps}),"
            f" shift {defaults.shift:g}, guidance {defaults.guidance_scale:g}\n"
            f"  revision {model.model.revision}"
        )
    for lm_model in offered.lm_models:
        out.print(
            f"[bold]{lm_model.name}[/]  plan, codes, descriptions\n"
            f"  guidance {offered.lm_defaults.cfg_scale:g}\n"
            f"  revision {lm_model.revision}"
        )
    formats = (
        music_pb2.AudioFormat.Name(audio_format).removeprefix("AUDIO_FORMAT_").lower()
        for audio_format in offered.audio_formats
    )
    limits = offered.limits
    out.print(f"formats: {', '.join(formats)}")
    out.print(
        f"songs of {limits.min_duration_seconds:g} to {limits.max_duration_seconds:g} s,"
        f" {limits.min_bpm} to {limits.max_bpm} bpm, up to {limits.max_batch_size} at a time"
    )
    out.print(f"languages: {' '.join(offered.languages)}")
    out.print(f"server {offered.server_version}")
