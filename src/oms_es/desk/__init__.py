"""What people at a desk ask and settle: lists, searches, single things, exceptions and dead letters."""
