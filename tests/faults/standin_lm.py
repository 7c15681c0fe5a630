"""`python -m tests.faults.standin_lm`: the language model's service over a stand-in."""

from common.service import run
from gateway.stages import LM
from tests.faults.standin import PacedLm, Settings, serve
from tests.gateway.whole import lm_servicer


async def main(settings: Settings) -> None:
    await serve(settings, LM, lm_servicer(PacedLm(settings.pace_s)))


if __name__ == "__main__":
    run(Settings, "ACESTEP_LM", main)
