"""Trying policies on traffic that was, before one is switched on."""
