"""What was known as of a moment, of any read model, and why something happened.

Read-only. Imports: verification and below.
"""
