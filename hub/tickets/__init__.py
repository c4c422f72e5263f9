"""Tickets: what a vendor keeps of a thread as a whole, its status and its tags, in step with ours."""
