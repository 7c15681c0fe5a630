"""The metadata block that stands for the model's reasoning in prompts for codes. Source: spec lm.md 2.4."""

import yaml

from lm_service.metadata import PLAN_FIELDS, Metadata


def body(metadata: Metadata) -> str:
    """The known fields as YAML, one per line, in alphabetical order; empty if nothing is known.

    Genres are never written. Quoting and folding are PyYAML's, as in the training data.
    """
    fields = {name: _scalar(metadata, name) for name in PLAN_FIELDS if metadata.text(name) is not None}
    if not fields:
        return ""
    return str(yaml.dump(fields, allow_unicode=True, sort_keys=True)).strip()


def _scalar(metadata: Metadata, name: str) -> int | str:
    text = metadata.text(name) or ""
    if name == "timesignature" and text.endswith("/4"):
        text = text.partition("/")[0]
    return int(text) if text.isdecimal() and text.isascii() else text
