"""Policies: the written rules, every version kept."""
