"""Pages for people who handle goods: returns, shipping and reorders."""
