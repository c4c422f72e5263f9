"""Channels: connected accounts, with their credentials, cursors and health."""
