"""Pages with figures: reports."""
