"""Connectors: one folder per vendor or protocol, each turning its payloads into `InboundMessage` and back."""

from connectors.registry import UnknownConnector, connect, connector_names, connector_type

__all__ = ["UnknownConnector", "connect", "connector_names", "connector_type"]
