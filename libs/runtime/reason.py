"""Why somebody asks for something, as the header `X-Reason` says it."""

from urllib.parse import unquote

from libs.runtime.problems import Problem


def reason_of(header: str) -> str:
    """What X-Reason says: ASCII as it is, or any text as RFC 8187 writes it. Raises Problem 400."""
    reason, fine = header, header.isascii()
    if header.startswith("UTF-8''"):
        try:
            reason = unquote(header[len("UTF-8''") :], errors="strict")
        except UnicodeDecodeError:
            fine = False
    if not fine or not (reason == "" or reason.isprintable()) or len(reason) > 200:
        raise Problem(
            400,
            "invalid_header",
            "X-Reason is not valid",
            "X-Reason takes at most 200 printable characters, beyond ASCII as in RFC 8187.",
            "Shorten it, or write UTF-8'' and the text percent-encoded.",
        )
    return reason
