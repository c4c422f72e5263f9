"""The contract suite. It is shipped as `connectors.testing`, so that others' connectors are held to it."""

from connectors.base import Item
from connectors.testing import ConnectorContract, Vendor, reply

__all__ = ["ConnectorContract", "Item", "Vendor", "reply"]
