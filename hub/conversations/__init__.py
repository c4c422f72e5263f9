"""Conversations: threads with customers, their messages, replies and promises."""
