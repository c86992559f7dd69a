"""Where goods are handled: what comes back, and what leaves."""
