"""Reports: which promises were kept, and how fast."""
