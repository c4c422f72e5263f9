"""Customers: who they are, where they can be met, what they bought."""
