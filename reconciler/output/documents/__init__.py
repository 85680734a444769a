"""The JSON documents that commands give and take: a class for each, and what makes it.

Scripts may rely on their shape (docs/documents.md, schemas/). Pure.
"""
