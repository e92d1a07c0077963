"""A user's mistake: one line that names the key or the file."""

from collections.abc import Iterator
from contextlib import contextmanager


class UserError(ValueError):
    """What a user can mend: the message begins with the config key or the file, then says what is wrong and, where
    there are some, the choices. The command line prints it as one line and exits with code 2."""


@contextmanager
def renamed(key: str, known_as: str) -> Iterator[None]:
    """Within: messages about ``key`` and the settings in it are about the key that it is known as."""
    try:
        yield
    except UserError as error:
        text = str(error)
        about = text.startswith((f"{key}.", f"{key}:"))
        raise type(error)(known_as + text[len(key) :] if about else text) from None


@contextmanager
def keyed(key: str) -> Iterator[None]:
    """Within: ``key`` is put before the message of every UserError, by the one who knows where the setting stands."""
    try:
        yield
    except UserError as error:
        raise type(error)(f"{key}{error}") from None


@contextmanager
def below(key: str) -> Iterator[None]:
    """Within: every message is about ``key`` or a setting below it, and names it, whether or not it did."""
    try:
        yield
    except UserError as error:
        line = str(error)
        raise type(error)(line if line.startswith(key) else f"{key}.{line}") from None
