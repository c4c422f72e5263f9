"""Learning: what the model takes from its users, version by version."""
