"""A small book with invented prices: what the engine does must not hang on what a list says."""

import pytest

from farthing.prices import PriceBook, facts

STONE = {
    'provider': 'quarry',
    'sources': {'list': {'url': 'https://example.com/prices', 'read_on': '2026-01-02'}},
    'words': {'tiers': {'default': 'standard', 'auto': 'unknown', 'reserved': 'committed'}},
    'models': [
        {
            'id': 'granite',
            'ids': ['granite-2026-01-05', 'rock-latest?'],
            'since': '2026-01-05',
            'rates': [
                {
                    'until': '2026-06-01',
                    'input': '2',
                    'cache_read': '0.2',
                    'cache_write_5m': '2.5',
                    'cache_write_1h': '4',
                    'output': '10',
                    'source': 'list',
                },
                {
                    'from': '2026-06-01',
                    'input': '1',
                    'cache_read': '0.1',
                    'cache_write_5m': '1.25',
                    'cache_write_1h': '2',
                    'output': '5',
                    'source': 'list',
                },
                {
                    'from': '2026-06-01',
                    'above': 1_000,
                    'input': '2',
                    'cache_read': '0.2',
                    'cache_write_5m': '2.5',
                    'cache_write_1h': '4',
                    'output': '7.5',
                    'source': 'list',
                },
                {'tier': 'flex', 'input': '0.5', 'cache_read': '0.04?', 'output': '2.5'},
            ],
        },
        {
            'id': 'opal',
            'rates': [
                {
                    'input': '3',
                    'input_audio': '30',
                    'input_image': '6',
                    'cache_read': '0.3',
                    'cache_read_audio': '3',
                    'cache_read_image': '0.6',
                    'output': '12',
                    'output_audio': '60',
                }
            ],
        },
        {'id': 'slate', 'plain_writes': True, 'rates': [{'input': '1', 'output': '2'}]},
        {'id': 'ft:slate', 'rates': [{'input': '1.5', 'output': '3'}]},
    ],
    'rules': [
        {'id': 'batch', 'when': {'batch': True}, 'factor': '0.5', 'models': ['granite']},
        {'id': 'east', 'when': {'geo': 'east'}, 'factor': '1.1', 'models': ['granite']},
        {'id': 'regional', 'when': {'region': '*'}, 'factor': '1.2', 'models': ['opal']},
    ],
    'tools': [
        {'tool': 'search', 'usd_per_thousand': '10', 'source': 'list'},
        {'tool': 'fetch', 'usd_per_thousand': '0'},
        {'tool': 'run', 'usd_per_thousand': '0', 'doubt': 'tool:run'},
    ],
}


@pytest.fixture(scope='session')
def book() -> PriceBook:
    return PriceBook('test', (facts.read(STONE, where='stone'),))
