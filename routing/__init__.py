"""Routing: facts + policy + now -> promise, weight, reply_by. Pure: no I/O, no clock of its own."""
