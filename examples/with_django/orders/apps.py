"""The app as Django knows it."""

from django.apps import AppConfig


class OrdersConfig(AppConfig):
    """Orders of books."""

    name = "orders"
