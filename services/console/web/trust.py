"""Whose certificates the console's clients believe."""

import ssl
from functools import cache

import httpx2


@cache
def trusted() -> ssl.SSLContext:
    """The system's authorities, read once a process: that takes 40 ms, and each client would do it anew."""
    return httpx2.create_ssl_context(trust_env=False)
