"""Connectors: one folder per vendor or protocol, each turning its payloads into `InboundMessage` and back."""
