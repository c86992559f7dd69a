"""What is published about this program: message schemas, the AsyncAPI document, and reference pages, all generated.

Invariant: nothing in docs/reference is written by hand; `make reference` writes it from what the program is.
"""
