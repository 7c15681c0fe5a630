"""Classifier-free guidance inside vLLM 0.32.0, which is not modified.

A guided request is one request to vLLM's clients. Its scheduler adds a second, unconditional one
and keeps the two in step; the logits processor mixes their scores, holds them to the grammar,
draws the token and makes it the most probable one of both rows.
"""
