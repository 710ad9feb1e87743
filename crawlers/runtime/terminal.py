"""Text of sites on a terminal: it must not move the cursor, change colours, or read other than it is."""

import unicodedata

# Control and format characters (right-to-left overrides among them), surrogates, private ones, separators of lines.
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def safe(text: str) -> str:
    """``text`` on one line, with what a terminal would obey, or not show, written as ``\\x1b`` or ``\\u202e``."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character.encode("unicode_escape").decode("ascii") if unicodedata.category(character) in _HIDDEN else character
        for character in text
    )
