"""People who work here: users, their presence, their API tokens."""
