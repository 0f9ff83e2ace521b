"""Errors of a controller, a branch of the common tree.

SignalboxError
├── SettingsError
│   └── ConfigurationError     signalbox.toml is missing, unreadable or makes no sense
└── ControllerError
    ├── StateUnreadable            a file in the data folder is not what we wrote
    ├── AlreadyRunning             another controller holds this data folder
    ├── NameTaken                  another controller goes by the name of this host
    ├── RestartNotAllowed          this host may not restart its processes now
    └── NameServiceSilent          LDAP or the like has not said who a user is (also an OSError)
"""

from signalbox.errors import SettingsError, SignalboxError


class ConfigurationError(SettingsError):
    """The configuration file is missing or makes no sense; the text names file, key and remedy."""


class ControllerError(SignalboxError):
    """A controller cannot do its work."""


class StateUnreadable(ControllerError):
    """A file in the data folder is damaged; the text says which, and what deleting it would mean."""


class AlreadyRunning(ControllerError):
    """Another controller uses the same data folder; two would fight over the same processes."""


class NameTaken(ControllerError):
    """Another controller goes by the name of this host; each would get some of the commands meant for it."""


class NameServiceSilent(ControllerError, OSError):
    """A user was looked up, and there was no answer in time; the text says who."""


class RestartNotAllowed(ControllerError):
    """This host did not get the rolling lock, or must not go on with a restart; the text says why."""
