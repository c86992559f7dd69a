"""History read by several processes that share the work out: `one_pass` folds read models, `verifying` asks questions.

Imports: the registry and below.
"""
