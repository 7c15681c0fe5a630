"""Byte-level BPE tokenizers in the form that the release has them, with a vocabulary of our own."""

from collections.abc import Iterable
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer

from model_store.tiny import corpus
from model_store.tiny.dims import CODE_TOKEN_COUNT
from model_store.tiny.weights import save_json

END_OF_TEXT = "<|endoftext|>"
END_OF_TURN = "<|im_end|>"
SPECIAL = (END_OF_TEXT, "<|im_start|>", END_OF_TURN)
THINK = ("<think>", "</think>")
CODES = tuple(f"<|audio_code_{code}|>" for code in range(CODE_TOKEN_COUNT))

# Qwen2: contractions, words with what stands before them, single digits, signs, line breaks, spaces.
WORDS = Regex(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
ALL_MERGES = 10_000
"""More than the corpus can give, so that training ends with each of its words a single token."""


def for_language_model() -> Tokenizer:
    """Ids: pieces, then special tokens, then audio codes, so that id = first code's id + code."""
    return with_codes(trained(corpus.texts(), ALL_MERGES))


def for_text_encoder() -> Tokenizer:
    """Appends `<|endoftext|>` to every encoded text, as the released one does."""
    return with_end(trained(corpus.texts(), ALL_MERGES))


def with_codes(tokenizer: Tokenizer) -> Tokenizer:
    """Add the marks of a language model, its audio codes last."""
    tokenizer.add_special_tokens([AddedToken(text, special=True) for text in SPECIAL])
    tokenizer.add_tokens([AddedToken(text, normalized=False, special=False) for text in THINK])
    tokenizer.add_special_tokens([AddedToken(text, special=True) for text in CODES])
    return tokenizer


def with_end(tokenizer: Tokenizer) -> Tokenizer:
    """Add the marks of a text encoder, and have it close every text."""
    tokenizer.add_special_tokens([AddedToken(text, special=True) for text in SPECIAL])
    end = (END_OF_TEXT, tokenizer.token_to_id(END_OF_TEXT))
    tokenizer.post_processor = processors.Sequence(
        [
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(
                single=f"$A {END_OF_TEXT}",
                pair=f"$A {END_OF_TEXT} $B {END_OF_TEXT}",
                special_tokens=[end],
            ),
        ]
    )
    return tokenizer


def save(tokenizer: Tokenizer, folder: Path, padding_side: str) -> None:
    tokenizer.save(str(folder / "tokenizer.json"))
    save_json(
        folder / "tokenizer_config.json",
        {
            "add_bos_token": False,
            "add_prefix_space": False,
            "bos_token": None,
            "clean_up_tokenization_spaces": False,
            "eos_token": END_OF_TURN,
            "errors": "replace",
            "model_max_length": 131_072,
            "pad_token": END_OF_TEXT,
            "padding_side": padding_side,
            "split_special_tokens": False,
            "tokenizer_class": "Qwen2Tokenizer",
            "unk_token": None,
        },
    )


def trained(texts: Iterable[str], size: int, min_frequency: int = 1) -> Tokenizer:
    """Pieces that `texts` are made of, at most `size`, without any marks."""
    tokenizer = Tokenizer(BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(WORDS, behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = BpeTrainer(
        vocab_size=size,
        min_frequency=min_frequency,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer
