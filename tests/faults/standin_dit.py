"""`python -m tests.faults.standin_dit`: the diffusion's service over a stand-in."""

from common.service import run
from gateway.stages import DIT
from tests.faults.standin import PacedDit, Settings, serve
from tests.gateway.whole import dit_servicer


async def main(settings: Settings) -> None:
    await serve(settings, DIT, dit_servicer(PacedDit(settings.pace_s)))


if __name__ == "__main__":
    run(Settings, "ACESTEP_DIT", main)
