"""Only billed calls of known providers are taken, and what a user listed."""

import pytest

from farthing.wire import Endpoint, endpoint, model_of, region_of

BILLED = [
    ('api.anthropic.com', '/v1/messages', 'anthropic', 'anthropic_messages'),
    ('api.openai.com', '/v1/chat/completions', 'openai', 'openai_chat'),
    ('eu.api.openai.com', '/v1/responses', 'openai', 'openai_responses'),
    ('us.api.openai.com', '/v1/responses/compact', 'openai', 'openai_responses'),
    ('api.openai.com', '/v1/embeddings', 'openai', 'openai_embeddings'),
    ('api.openai.com', '/v1/completions', 'openai', 'openai_chat'),
    (
        'acme.openai.azure.com',
        '/openai/deployments/mine/chat/completions',
        'azure',
        'openai_chat',
    ),
    ('acme.services.ai.azure.com', '/anthropic/v1/messages', 'azure', 'anthropic_messages'),
    (
        'generativelanguage.googleapis.com',
        '/v1beta/models/gemini-3-flash:streamGenerateContent',
        'google',
        'gemini',
    ),
    (
        'europe-west1-aiplatform.googleapis.com',
        '/v1/projects/p/locations/europe-west1/publishers/anthropic/models/claude-x@1:rawPredict',
        'google-vertex',
        'anthropic_messages',
    ),
    (
        'bedrock-runtime.eu-west-1.amazonaws.com',
        '/model/eu.anthropic.claude-sonnet-4-5-v1:0/invoke',
        'aws-bedrock',
        'anthropic_messages',
    ),
]


@pytest.mark.parametrize(('host', 'path', 'provider', 'api'), BILLED)
def test_a_billed_call_is_known_by_its_address(host, path, provider, api):
    assert Endpoint(provider=provider, api=api) == endpoint(host, path)


@pytest.mark.parametrize(
    ('host', 'path'),
    [
        ('api.anthropic.com', '/v1/messages/count_tokens'),
        ('api.anthropic.com', '/v1/messages/batches'),
        ('api.openai.com', '/v1/responses/input_tokens'),
        ('api.openai.com', '/v1/models'),
        ('api.openai.com.evil.example', '/v1/responses'),
        ('localhost', '/v1/messages'),
    ],
)
def test_other_addresses_are_left_alone(host, path):
    assert endpoint(host, path) is None


def test_a_listed_address_is_known_by_its_path():
    found = endpoint('127.0.0.1', '/proxy/v1/messages', listed=True)

    assert Endpoint(provider='anthropic', api='anthropic_messages') == found


def test_a_background_answer_is_billed_where_it_is_fetched():
    path = '/v1/responses/resp_1'

    assert Endpoint(provider='openai', api='openai_responses') == endpoint(
        'api.openai.com', path, method='GET'
    )
    assert endpoint('api.openai.com', path) is None
    assert endpoint('api.openai.com', '/v1/responses', method='GET') is None


def test_hosts_say_their_region():
    hosts = {
        'api.openai.com': 'global',
        'eu.api.openai.com': 'eu',
        'bedrock-runtime.us-east-1.amazonaws.com': 'us-east-1',
        'aiplatform.googleapis.com': 'global',
        'europe-west1-aiplatform.googleapis.com': 'europe-west1',
        'aiplatform.eu.rep.googleapis.com': 'eu',
        'api.anthropic.com': None,
        '127.0.0.1': None,
    }

    assert hosts == {host: region_of(host) for host in hosts}


def test_addresses_say_their_model():
    assert [
        model_of('/v1beta/models/gemini-3-flash:streamGenerateContent'),
        model_of(BILLED[9][1]),
        model_of(BILLED[10][1]),
        model_of('/v1/messages'),
    ] == [
        'gemini-3-flash',
        'claude-x@1',
        'eu.anthropic.claude-sonnet-4-5-v1:0',
        None,
    ]
