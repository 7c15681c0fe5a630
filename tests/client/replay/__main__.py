"""`python -m tests.client.replay VECTORS TOKENIZER`: a line per group; exit code 1 if any vector failed.

The recorded decisions and public calls, from upstream's functions through the real gateway to stages
that write what the recorded model wrote.
"""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from acestep.handler import AceStepHandler
from acestep.llm_inference import LLMHandler
from acestep.music.v1 import music_pb2
from tests.client.replay.decisions import Decisions
from tests.client.replay.departures import ALL
from tests.client.replay.stage import ReplayedLm
from tests.client.replay.texts import PublicCalls
from tests.gateway.conftest import World as Gateway
from tests.gateway.conftest import opened_world
from tests.gateway.fakes import FakeDit
from tests.lm.replay.__main__ import report
from tests.lm.replay.runner import Outcome, Verdict, count, outcome, read
from tests.lm.replay.world import CODE_COUNT, Vector, World

GROUPS = ("decisions", "decisions_newer_upstream", "public_calls")


async def replay(vectors: Path, tokenizer: Path) -> list[Outcome]:
    """What became of each vector."""
    world, lm = World(tokenizer, read(vectors)), ReplayedLm(CODE_COUNT)
    dit = FakeDit()
    dit.tasks, dit.code_count = list(music_pb2.Task.values()), CODE_COUNT
    with tempfile.TemporaryDirectory() as folder:
        async with opened_world(Path(folder), lm=lm, dit=dit) as gateway:
            return await asyncio.to_thread(_replayed, world, lm, gateway, Path(folder))


def _replayed(world: World, lm: ReplayedLm, gateway: Gateway, folder: Path) -> list[Outcome]:
    audio = folder / "x.wav"
    soundfile.write(audio, np.sin(np.arange(48_000) / 20), 48_000)
    dit_handler, llm_handler = AceStepHandler(), LLMHandler()
    for status, done in (
        dit_handler.initialize_service("", "", address=gateway.address),
        llm_handler.initialize("", "", address=gateway.address),
    ):
        assert done, status
    songs = Decisions(lm, gateway.dit, (dit_handler, llm_handler), audio)
    adapters = dict.fromkeys(GROUPS, songs) | {"public_calls": PublicCalls(lm, llm_handler)}
    return [
        outcome(world, group, _with_input(world, vector), adapters, ALL)
        for group in GROUPS
        for vector in world.groups.get(group, ())
    ]


def _with_input(world: World, vector: Vector) -> Vector:
    """The vector with the input that it shares with another one, if that is in the file."""
    shared = world.input_of(vector["same_input_as"]) if "same_input_as" in vector else None
    return vector if shared is None else {**vector, "input": shared}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("vectors", type=Path)
    parser.add_argument("tokenizer", type=Path)
    given = parser.parse_args()
    outcomes = asyncio.run(replay(given.vectors, given.tokenizer))
    sys.stdout.write("\n".join(report(outcomes)) + "\n")
    return 1 if count(outcomes, Verdict.FAILED) else 0


if __name__ == "__main__":
    sys.exit(main())
