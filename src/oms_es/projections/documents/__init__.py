"""Documents: what each is attached to."""
