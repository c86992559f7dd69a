"""What operators do beside orders: ask history whether all is well, and give keys."""
