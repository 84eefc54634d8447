"""Text as PostgreSQL can keep it."""


def storable(text: str) -> str:
    """PostgreSQL's text holds no NUL; a message may."""
    return text.replace("\x00", "\ufffd") if "\x00" in text else text
