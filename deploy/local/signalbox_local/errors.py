"""Errors of a local run.

LocalError
├── MissingProgram     a program is neither in our packages nor on this machine
├── FolderInUse        another run holds the data folder
├── PortTaken          another program listens on the port
└── DidNotStart        a server or service ended, or did not answer in time
"""


class LocalError(Exception):
    """Base of the errors of a local run; the text is meant for the person at the terminal."""


class MissingProgram(LocalError):
    """A program is neither in our packages nor on this machine; the text names what to install."""


class FolderInUse(LocalError):
    """Another run holds the data folder; the text names its process."""


class PortTaken(LocalError):
    """Another program listens on the port."""


class DidNotStart(LocalError):
    """A server or service ended early, or did not answer before its deadline; the text has its last lines."""
