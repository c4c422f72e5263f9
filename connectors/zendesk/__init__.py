"""Tickets of a Zendesk Support account, both ways."""
