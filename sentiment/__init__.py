"""Sentiment: texts in, analyses out. Imports nothing else of the project."""
