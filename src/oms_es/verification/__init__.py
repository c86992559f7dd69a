"""`oms-es verify`: everything folded again and compared, and checks that share no code with what they check.

More than twelve files: one for each kind of question, beside what asks them.
Read-only. Imports: reports and below.
"""
