"""What cannot be had on this machine."""


class Unavailable(Exception):
    """A server or a browser is not here; the message says what to install. Tests that need it are skipped."""
