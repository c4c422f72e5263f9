"""Who gets which conversation: handing out, offers, transfers, and the history of who had what and why."""
