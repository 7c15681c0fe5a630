"""The 5 Hz language model: a Qwen3 network over text pieces and audio codes."""

from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor

from model_store.tiny import corpus, qwen3, tokenizer
from model_store.tiny.dims import LANGUAGE_MODEL, LANGUAGE_MODEL_LAYERS
from model_store.tiny.weights import Draw, save, save_json

MAX_POSITIONS = 40_960

EMBEDDING = 0.07
"""Spread of the embeddings: small beside what the layers add to the state. With the output tied to the
input, a state that still looked like its own token would only repeat it."""

SHARPNESS = 9.0
"""Gain of the last norm. Scores get a spread of about 5: the best two are then rarely within rounding of
each other, and sampling still varies."""

ATTENTION = 2.0
"""Gain of the query and key norms: attention picks few tokens rather than the average of all."""

CONSTANT = 0.25
"""The first component of the state, the same at every token but for the favours."""

STATE = 1.2
"""Root mean square of the state after the last layer, as measured."""

FAVOUR = 32.0
"""What the constant component alone adds to every score; a token's favour is a change of it."""

WORDS = {f"Ġ{word}" for word in (*corpus.MUSIC, *corpus.LYRICS)}

CHAT_TEMPLATE = """\
{%- for message in messages %}
    {%- set text = message.content %}
    {%- if loop.last and message.role == 'assistant' and '</think>' in text %}
        {%- set thought = text.split('</think>')[0].rstrip('\\n').split('<think>')[-1].strip('\\n') %}
        {%- set answer = text.split('</think>')[-1].lstrip('\\n') %}
        {%- set text = '<think>\\n' + thought + '\\n</think>\\n\\n' + answer %}
    {%- endif %}
    {{- '<|im_start|>' + message.role + '\\n' + text + '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""


def build(folder: Path, seed: int) -> None:
    folder.mkdir(parents=True)
    vocabulary = tokenizer.for_language_model()
    tokenizer.save(vocabulary, folder, padding_side="right")
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE)
    size = vocabulary.get_vocab_size()
    config = qwen3.config(LANGUAGE_MODEL, LANGUAGE_MODEL_LAYERS, size, MAX_POSITIONS) | {
        "bos_token_id": vocabulary.token_to_id(tokenizer.END_OF_TEXT),
        "eos_token_id": vocabulary.token_to_id(tokenizer.END_OF_TURN),
        "pad_token_id": vocabulary.token_to_id(tokenizer.END_OF_TEXT),
    }
    save_json(folder / "config.json", config)
    save(folder / "model.safetensors", _weights(Draw(seed, "lm"), vocabulary), torch.bfloat16)


def _weights(draw: Draw, vocabulary: Tokenizer) -> dict[str, Tensor]:
    """Random, but for one component of the state that stays constant from input to output.

    Each token's score gets its favour through that component. So texts are made of whole
    words and come to an end, where plain noise would fill every limit with stray bytes.
    """
    tensors = draw.network(qwen3.stack_shapes("", LANGUAGE_MODEL, LANGUAGE_MODEL_LAYERS))
    for name, tensor in tensors.items():
        if name.endswith(("o_proj.weight", "down_proj.weight")):
            tensor[0] = 0.0  # nothing is added to the first component
        if name.endswith(("q_norm.weight", "k_norm.weight")):
            tensor.mul_(ATTENTION)
    favours = _favours(vocabulary)
    embeddings = draw.normal("embed_tokens.weight", (len(favours), LANGUAGE_MODEL.hidden), std=EMBEDDING)
    embeddings[:, 0] = CONSTANT * (1.0 + favours / FAVOUR)
    tensors["embed_tokens.weight"] = embeddings
    tensors["norm.weight"] *= SHARPNESS
    tensors["norm.weight"][0] = FAVOUR * STATE / CONSTANT**2
    return tensors


def _favours(vocabulary: Tokenizer) -> Tensor:
    """By how much each token's score is raised, `[vocabulary]`."""
    favours = torch.zeros(vocabulary.get_vocab_size())
    for text, index in vocabulary.get_vocab().items():
        favours[index] = _favour(text)
    return favours


def _favour(piece: str) -> float:
    """`piece` in the byte alphabet of BPE, where a space reads `Ġ` and a line break `Ċ`."""
    if piece == tokenizer.END_OF_TURN:
        return 1.0
    if piece.startswith("<"):
        return -12.0
    if piece == "Ċ":
        return 5.5
    return 0.0 if piece in WORDS else -8.0
