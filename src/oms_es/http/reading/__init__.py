"""Routes that read: single resources, lists, read models, events, live streams, links for customers.

Imports: what `http` shares, and what is below it.

More than twelve files: each is one resource, and all are listed side by side in `http/app.py`.
"""
