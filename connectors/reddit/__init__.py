"""Reddit: what people write to an account, what they write of it, and answers."""
