"""Reports: questions to the read models and the log, such as lists, single entities, figures and forecasts.

Read-only. Imports: the pure packages and the store. More than twelve files: a file for each kind of question.
"""
