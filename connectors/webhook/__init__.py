"""Messages that a brand's own systems push, and replies pushed back: Standard Webhooks both ways."""
