"""Moving from another system, and back: what stands here in figures that both systems know, and where they differ.

Read-only, as all of `reports`.
"""
