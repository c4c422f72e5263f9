"""Listening: what customers feel and want, over time."""
