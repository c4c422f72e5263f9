"""Benchmarks: what the hub does per second, beside what the machine itself can do."""
