"""The error a person can act on."""


class UserError(Exception):
    """Something the user gave is wrong.

    The message is one line that names the field or file, the value, and the remedy. The command line prints
    it without a traceback and exits with status 2.
    """


def require(holds: bool, name: str, value: object, wanted: str) -> None:
    """Raises UserError that names a field, its value and what it must be, unless it is. No comparison holds for NaN."""
    if not holds:
        raise UserError(f"{name}: {value} given; give {wanted}")
