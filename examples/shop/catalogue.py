"""Catalogue of the shop: articles, prices, regions, and the lines of an order."""

#: Article → price in cents.
PRICES = {
    "lamp": 4_900,
    "kettle": 3_450,
    "chair": 12_900,
    "clock": 2_750,
    "blanket": 5_990,
}

#: The regions that the shop sells to.
REGIONS = ("north", "east", "south", "west")


def lines_of(number: str) -> list[tuple[str, int]]:
    """The articles and quantities of an order, chosen by its number (hexadecimal): two or three."""
    seed = int(number, 16)
    articles = list(PRICES)
    return [(articles[(seed + step) % len(articles)], 1 + (seed >> step) % 3) for step in range(2 + seed % 2)]
