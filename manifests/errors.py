"""The error a person can act on."""


class UserError(Exception):
    """Something the user gave is wrong.

    The message is one line that names the field or file, the value, and the remedy. The command line prints
    it without a traceback and exits with status 2.
    """
