"""`oms-es verify`: everything folded again and compared, and checks that share no code with what they check.

Read-only. Imports: reports and below.
"""
