"""OAI-PMH 2.0: the protocol, and a harvest that keeps a ledger of what it has and of what it lacks.

Built on lxml alone. The clients that exist (oaipmh-scythe, sickle) turn each record into a dictionary, parse an answer anew for each
look at it, and end a list where an answer can't be read; what a harvest needs when that happens is what this package is about.
"""
