"""Source of a request: the network that one party has to itself, by which connections and sign-ins are counted."""

from ipaddress import IPv6Address, ip_address, ip_network

#: Bits of an IPv6 address that a provider gives to one customer at least (RFC 6177): its owner can take any of 2^64.
IPV6_PREFIX = 64


def source_of(address: str) -> str:
    """An IPv4 address as it is, the /64 of an IPv6 address, and whatever else there is as it is."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is None:
            return str(ip_network((found, IPV6_PREFIX), strict=False))
        found = found.ipv4_mapped
    return str(found)
