"""Simulated providers on loopback, for the real SDKs: Anthropic and OpenAI without key or bill.

    with farthing_sim.serving() as sim:
        client = anthropic.Anthropic(base_url=sim.anthropic_url, api_key='any')

Answers are deterministic, follow the schemas of tools and response formats, and carry usage
that follows from the requests so far: what a provider's prompt cache keeps is read, not billed
again. No count or text of theirs says anything about a real model. Batches of requests are taken
as well, and go their providers' way.
"""

from farthing_sim.caches import CacheRules
from farthing_sim.schedule import BatchRules
from farthing_sim.serve import Sim, serving

__all__ = ['BatchRules', 'CacheRules', 'Sim', 'serving']
