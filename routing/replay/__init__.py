"""Trying orders of work on traffic that was: a discrete-event simulator, its rivals, and what theory says."""
