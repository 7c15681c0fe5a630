"""Feed broken files to what reads uploads, in a process that may die of it."""

import sys
import tempfile
from collections import Counter
from functools import partial
from itertools import islice
from pathlib import Path

from common.errors import AceError
from dit_service.audio_in import GatheredFile, read_audio
from gateway.uploads import inspected
from tests.fuzz.sounds import broken_files


def fuzz(seed: int, count: int, last: Path) -> Counter[str]:
    """Read `count` files; the one being read lies in `last`. Raises whatever is no `AceError`."""
    ends = Counter[str]()
    for data in islice(broken_files(seed), count):
        last.write_bytes(data)
        for read in (partial(read_audio, GatheredFile(data), "audio"), partial(inspected, last, "0" * 32)):
            try:
                read()
                ends["read"] += 1
            except AceError as error:
                ends[error.reason] += 1
    return ends


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "last.bin") if len(sys.argv) < 4 else Path(sys.argv[3])
        sys.stdout.write(f"{dict(fuzz(int(sys.argv[1]), int(sys.argv[2]), file))}\n")
