"""What comes of it all: reports."""
