"""X, over its API v2."""
