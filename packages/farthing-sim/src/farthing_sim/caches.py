"""The prompt caches of one server, and what about them is a matter of choice."""

from dataclasses import dataclass

from farthing_sim.anthropic_cache import AnthropicCache
from farthing_sim.anthropic_diagnostics import Fingerprints
from farthing_sim.openai_cache import OpenAICache


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheRules:
    """What differs between platforms, or is not known well enough to be fixed.

    Attributes:
        enabled: Without it every token counts as plain input, as if nobody cached.
        lookback: Positions that Anthropic checks from a mark backwards, the mark's own included.
            20 is the documented number; 22 was measured on Bedrock.
        collapse_tool_runs: Whether adjacent `tool_use` (or `tool_result`) blocks are one
            position of the lookback, as some clients assume.
        min_tokens: The shortest prefix that is cached, in place of each model's own minimum.
        hit_probability: Share of the repeated requests that OpenAI's models before GPT-5.6 find
            in their cache, by a fixed pseudo-random sequence; the real service is best effort.
        requests_per_min: What one of OpenAI's machines takes of one prefix and key; more
            requests go to the next machine, which has a cache of its own.
        idle_s: How long OpenAI's models before GPT-5.6 keep an unused prefix in memory.
    """

    enabled: bool = True
    lookback: int = 20
    collapse_tool_runs: bool = False
    min_tokens: int | None = None
    hit_probability: float = 1.0
    requests_per_min: int = 15
    idle_s: float = 600.0

    def __post_init__(self) -> None:
        if min(self.lookback, self.requests_per_min) < 1 or not 0 <= self.hit_probability <= 1:
            raise ValueError(
                f'{self}: expected `lookback` and `requests_per_min` of at least 1 and a '
                '`hit_probability` from 0 to 1'
            )


DEFAULT_RULES = CacheRules()


class Caches:
    """The caches of both providers; those of a server that forgets are new ones."""

    def __init__(self, rules: CacheRules) -> None:
        self.rules = rules
        self.anthropic = AnthropicCache(
            lookback=rules.lookback,
            collapse_tool_runs=rules.collapse_tool_runs,
            min_tokens=rules.min_tokens,
        )
        self.openai = OpenAICache(
            min_tokens=rules.min_tokens,
            hit_probability=rules.hit_probability,
            requests_per_min=rules.requests_per_min,
            idle_s=rules.idle_s,
        )
        self.fingerprints = Fingerprints()
