"""Qwen3 embedding model: hidden states of texts, and rows of its embedding table for lyrics."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor
from transformers import Qwen3Model
from transformers.utils.logging import disable_progress_bar

from common.revision import Revision, of_checkpoint
from dit_service.checkpoint import CheckpointError

MAX_TEXT_TOKENS = 256
MAX_LYRIC_TOKENS = 2048


@dataclass(frozen=True, slots=True)
class TextEncoder:
    """Texts are encoded one at a time, so that none depends on its neighbours (spec dit.md 10.1)."""

    revision: Revision
    tokenizer: Tokenizer
    network: Any

    @classmethod
    def load(
        cls, folder: Path, device: torch.device, dtype: torch.dtype, tokenizer: Path | None = None
    ) -> "TextEncoder":
        """Read it from `folder`, where its `tokenizer` lies too if no other place is told.

        Raises `CheckpointError` if a file or a tensor is missing, left over or misshapen.
        """
        vocabulary = (tokenizer or folder) / "tokenizer.json"
        for path in (folder / "config.json", folder / "model.safetensors", vocabulary):
            if not path.is_file():
                raise CheckpointError(f"{path} is missing")
        disable_progress_bar()  # it would be drawn into the log
        network, report = Qwen3Model.from_pretrained(
            folder, dtype=dtype, local_files_only=True, output_loading_info=True
        )
        for problem in ("missing_keys", "unexpected_keys", "mismatched_keys"):
            if names := report[problem]:
                raise CheckpointError(f"{folder.name}: {problem.replace('_', ' ')}: {sorted(names)[0]}")
        texts = Tokenizer.from_file(str(vocabulary))
        texts.no_truncation()
        texts.no_padding()
        return cls(of_checkpoint(folder), texts, network.to(device).eval().requires_grad_(False))

    def excess(self, text: str, max_tokens: int) -> int:
        """How many tokens of `text` are too many."""
        return max(0, len(self.tokenizer.encode(text)) - max_tokens)

    def token_ids(self, text: str, max_tokens: int) -> list[int]:
        """Ids, and the closing token that this tokenizer adds: a long text loses its end, not that."""
        ids: list[int] = self.tokenizer.encode(text).ids
        return ids if len(ids) <= max_tokens else [*ids[: max_tokens - 1], ids[-1]]

    def hidden_states(self, text: str) -> Tensor:
        """`[1, tokens, width]`: the last layer's, each token having seen those before it."""
        ids = self._tensor(self.token_ids(text, MAX_TEXT_TOKENS))
        states: Tensor = self.network(input_ids=ids, use_cache=False).last_hidden_state
        return states

    def embeddings(self, text: str) -> Tensor:
        """`[1, tokens, width]`: rows of the embedding table, no layer applied."""
        rows: Tensor = self.network.embed_tokens(self._tensor(self.token_ids(text, MAX_LYRIC_TOKENS)))
        return rows

    def _tensor(self, ids: list[int]) -> Tensor:
        return torch.tensor([ids], device=self.network.device)
