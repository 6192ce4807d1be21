"""Prompt caching: which prefixes a provider can cache at all."""
