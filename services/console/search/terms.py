"""What of an order can be found, and by which tokens: trigrams of folded words, hashed per tenant.

A word is a run of letters and digits, without case and accents. Its tokens are its trigrams, and a mark of
its first two letters (of its first, where that is no ASCII), so that `os`, `sto` and `tow` find "Ostow".
Tokens of personal data are made with a key (`libs.runtime.privacy.index_key`), those of the rest without:
the ones say nothing of the others.
"""

import hashlib
import unicodedata
from collections.abc import Iterable, Mapping
from functools import lru_cache

from libs.events.record import record

WORD_LENGTH_MAX = 64
WORDS_MAX = 32
"""Of one text; what is beyond is not found."""
QUERY_LENGTH_MAX = 200
PERSONAL = ("name", "email", "phone", "postcode")
"""Fields of sealed personal data that can be found by parts of words."""


@record
class Wanted:
    """A search, folded: its words, and their tokens hashed in the open and under the key. Without words it
    finds nothing but the beginning of an order id."""

    words: tuple[str, ...]
    open_tokens: tuple[int, ...]
    sealed_tokens: tuple[int, ...]


def words_of(text: str) -> list[str]:
    """Folded words, in order. Total."""
    plain = unicodedata.normalize("NFKD", text[: WORD_LENGTH_MAX * WORDS_MAX * 2])
    kept = (letter if letter.isalnum() else " " for letter in plain if not unicodedata.combining(letter))
    found = "".join(kept).casefold().split()
    return [word[:WORD_LENGTH_MAX] for word in found[:WORDS_MAX]]


def personal_words(personal: Mapping[str, object]) -> list[str]:
    """The words by which a customer is found. A phone number is one, whatever stands between its digits."""
    found: list[str] = []
    for field in PERSONAL:
        text = personal.get(field)
        if not isinstance(text, str):
            continue
        found += words_of("".join(filter(str.isalnum, text)) if field == "phone" else text)
    return found


def tokens(words: Iterable[str], tenant: str, key: bytes = b"") -> list[int]:
    """Signed 32-bit tokens by which these words are found, sorted, each once."""
    place = tenant.encode()
    return sorted({_hashed(part, place, key) for word in words for part in (*_heads(word), *_trigrams(word))})


def wanted(query: str, tenant: str, key: bytes | None) -> Wanted:
    """What to look for; a word that is too short is left out. Without the key, not in personal data."""
    place = tenant.encode()
    words = tuple(word for word in words_of(query[:QUERY_LENGTH_MAX]) if _asked(word))
    parts = sorted({part for word in words for part in _asked(word)})
    return Wanted(
        words,
        tuple(_hashed(part, place, b"") for part in parts),
        tuple(_hashed(part, place, key) for part in parts) if key else (),
    )


def contains(words: Iterable[str], asked: Iterable[str]) -> bool:
    """Whether each asked word is part of one of these: the rule that tokens only approach."""
    known = list(words)
    return all(any(word.startswith(one) if len(one) < 3 else one in word for word in known) for one in asked)


def _asked(word: str) -> list[str]:
    """Tokens of a word as it is looked for: anywhere in a word, or at its beginning when it is short."""
    if len(word) >= 3:
        return _trigrams(word)
    return [f"^{word}"] if len(word) == 2 or not word.isascii() else []


def _heads(word: str) -> list[str]:
    heads = [f"^{word[:2]}"] if len(word) > 1 else []
    return heads if word[0].isascii() else [f"^{word[0]}", *heads]


def _trigrams(word: str) -> list[str]:
    return [word[place : place + 3] for place in range(len(word) - 2)]


@lru_cache(maxsize=100_000)
def _hashed(part: str, tenant: bytes, key: bytes) -> int:
    found = hashlib.blake2b(part.encode("utf-8", "replace") + b"\x00" + tenant, digest_size=4, key=key)
    return int.from_bytes(found.digest(), "big", signed=True)
