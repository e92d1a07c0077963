"""A user's mistake: one line that names the key or the file."""


class UserError(ValueError):
    """What a user can mend: the message begins with the config key or the file, then says what is wrong and, where
    there are some, the choices. The command line prints it as one line and exits with code 2."""
