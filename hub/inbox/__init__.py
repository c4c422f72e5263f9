"""The inbox: what comes in is received once, analysed once, and never lost."""
