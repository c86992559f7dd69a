"""One stream explained: what was known as of a moment, and why something happened.

Read-only. Imports: verification and below.
"""
