"""Telling people in time that a promise is about to break, or has."""
