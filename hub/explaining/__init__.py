"""Why the model reads a message as it does."""
