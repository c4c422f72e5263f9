"""Staffing: what is expected to come in, who is needed for it, and what will break with those on duty."""
