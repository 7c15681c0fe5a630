"""What was compiled is kept where an operator says."""

from pathlib import Path

import pytest
from torch._inductor.runtime.cache_dir_utils import cache_dir

from dit_service import compile_cache


def test_what_is_compiled_is_kept_in_the_folder_that_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"):
        monkeypatch.setenv(name, "elsewhere")

    compile_cache.keep_in(tmp_path)

    assert Path(cache_dir()).parent == tmp_path
