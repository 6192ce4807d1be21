"""Options that one provider knows and another refuses."""

from farthing.wire.options import cut, foreign


def test_each_family_is_spared_the_others_options_and_keeps_its_own() -> None:
    assert {'prompt_cache_key', 'reasoning_effort', 'user'} <= foreign('anthropic')
    assert {'cache_control', 'thinking'} <= foreign('openai')
    assert not foreign('anthropic') & {'cache_control', 'thinking', 'temperature', 'max_tokens'}
    assert not foreign('openai') & {'prompt_cache_key', 'reasoning_effort', 'temperature'}


def test_another_provider_is_spared_only_what_it_cannot_know() -> None:
    assert {'cache_control', 'prompt_cache_key'} <= foreign(None)
    assert not foreign(None) & {'seed', 'top_k', 'presence_penalty'}


def test_an_answer_is_cut_where_its_provider_says_so() -> None:
    assert all(map(cut, ('max_tokens', 'length', 'MAX_TOKENS', 'incomplete')))
    assert not any(map(cut, ('end_turn', 'stop', 'completed', None)))
