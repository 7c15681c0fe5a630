"""Where compilers keep what they made, so that a service that starts again need not wait for them."""

import os
from pathlib import Path


def keep_in(folder: Path) -> None:
    """To be called before anything is compiled. A folder that cannot be written to is found out then."""
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder / "inductor")
    os.environ["TRITON_CACHE_DIR"] = str(folder / "triton")
