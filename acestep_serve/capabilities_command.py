"""`acestep-serve capabilities`: what the running system offers."""

from rich.table import Table

from acestep.client import connect
from acestep.gateway.v1 import music_service_pb2 as pb
from acestep.music.v1 import music_pb2
from acestep_serve.console import DEFAULT_ADDRESS, Address, AsJson, as_dict, out, print_json, run


def capabilities(address: Address = DEFAULT_ADDRESS, as_json: AsJson = False) -> None:
    """Show models, tasks, defaults, limits and formats."""

    async def work() -> None:
        async with connect(address) as client:
            offered = await client.capabilities()
        if as_json:
            print_json(as_dict(offered))
        else:
            _show(offered)

    run(work(), address)


def _show(offered: pb.GetCapabilitiesResponse) -> None:
    table = Table("model", "revision", "tasks", "steps", "shift", "guidance")
    for model in offered.dit_models:
        tasks = ", ".join(music_pb2.Task.Name(task).removeprefix("TASK_").lower() for task in model.tasks)
        defaults = model.defaults
        table.add_row(
            model.model.name,
            model.model.revision[:23],
            tasks,
            f"{defaults.inference_steps} of {model.max_inference_steps}",
            f"{defaults.shift:g}",
            f"{defaults.guidance_scale:g}",
        )
    for lm_model in offered.lm_models:
        table.add_row(lm_model.name, lm_model.revision[:23], "plan, codes, describe", "", "", "")
    out.print(table)
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
