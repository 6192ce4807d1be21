"""Prompt caching: what a provider can cache, and where and for how long marks pay back."""
