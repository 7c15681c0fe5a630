"""Bearer tokens: long random words, of which only a digest is kept.

A digest without salt and stretching is enough, as nobody can guess 256 random bits.
"""

import hashlib
import re
import secrets

PREFIX = "ace_"
"""Lets scanners for leaked secrets know one."""
DIGEST = re.compile(r"[0-9a-f]{64}")


def new_token() -> str:
    return PREFIX + secrets.token_urlsafe(32)


def digest_of(token: str) -> str:
    """SHA-256 as 64 hex digits."""
    return hashlib.sha256(token.encode()).hexdigest()
