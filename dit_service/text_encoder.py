"""Qwen3 embedding model: hidden states of texts, and rows of its embedding table for lyrics."""

from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor
from transformers import Qwen3Model
from transformers.utils.logging import disable_progress_bar

from common.revision import Revision, of_checkpoint
from dit_service.checkpoint import CheckpointError
from dit_service.network.encoder import Encoder, taken_over
from dit_service.network.sizes import LayerSizes
from dit_service.sent import sent

MAX_TEXT_TOKENS = 256
MAX_LYRIC_TOKENS = 2048


@dataclass(frozen=True, slots=True)
class TextEncoder:
    """Texts are encoded one at a time, so that none depends on its neighbours (spec dit.md 10.1)."""

    revision: Revision
    tokenizer: Tokenizer
    network: Encoder

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
        return cls(of_checkpoint(folder), texts, _encoder(folder, network).to(device))

    def excess(self, text: str, max_tokens: int) -> int:
        """How many tokens of `text` are too many."""
        return max(0, len(self.tokenizer.encode(text)) - max_tokens)

    def token_ids(self, text: str, max_tokens: int) -> list[int]:
        """Ids, and the closing token that this tokenizer adds: a long text loses its end, not that."""
        ids: list[int] = self.tokenizer.encode(text).ids
        return ids if len(ids) <= max_tokens else [*ids[: max_tokens - 1], ids[-1]]

    def hidden_states(self, text: str) -> Tensor:
        """`[1, tokens, width]`: the last layer's, each token having seen those before it."""
        return self.network(self._rows(text, MAX_TEXT_TOKENS))[None]  # type: ignore[no-any-return]

    def embeddings(self, text: str) -> Tensor:
        """`[1, tokens, width]`: rows of the embedding table, no layer applied."""
        return self._rows(text, MAX_LYRIC_TOKENS)[None]

    def _rows(self, text: str, most: int) -> Tensor:
        ids = torch.tensor(self.token_ids(text, most))
        rows: Tensor = self.network.embed_tokens(sent(ids, self.network.device))
        return rows


def _encoder(folder: Path, theirs: Qwen3Model) -> Encoder:
    """Ours in the place of transformers'. Raises `CheckpointError` for layers that hear a window only."""
    config = theirs.config
    if theirs.has_sliding_layers:
        raise CheckpointError(f"{folder.name}: layer_types may only name full_attention")
    sizes = LayerSizes(
        hidden=config.hidden_size,
        feed_forward=config.intermediate_size,
        heads=config.num_attention_heads,
        key_heads=config.num_key_value_heads,
        head_width=config.head_dim,
        rope_theta=config.rope_parameters["rope_theta"],
        epsilon=config.rms_norm_eps,
        attention_bias=config.attention_bias,
    )
    return taken_over(theirs, sizes, None)
