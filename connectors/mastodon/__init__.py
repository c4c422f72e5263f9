"""Mastodon servers."""
