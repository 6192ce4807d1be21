"""The batch lever: what goes into a provider's batch, and what its state means for us.

Everything here is pure: plain values in, decisions out. The ledger keeps the states, `run` drives
them, and `io` talks to the providers.

A *job* is what the user started. Its *items* are requests, each paid once. A *submission* is one
batch of a provider, with the items of one attempt.
"""
