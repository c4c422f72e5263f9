"""Benchmarks: what the hub does per second, measured on this machine beside what the machine itself can do."""
