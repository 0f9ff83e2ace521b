"""Errors of the shop.

ShopError
├── CardDeclinedError       the customer has to pay in another way
└── WarehouseBusyError      worth another try
"""


class ShopError(Exception):
    """The root of all errors of the shop."""


class CardDeclinedError(ShopError):
    """The payment provider refused the card; trying again does not help."""


class WarehouseBusyError(ShopError):
    """The warehouse did not answer in time; it usually does a little later."""
