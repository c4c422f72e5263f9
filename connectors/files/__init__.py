"""Messages from files and folders; replies into an outbox folder."""
