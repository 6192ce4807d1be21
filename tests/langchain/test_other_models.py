"""Models whose SDKs differ: what is known of them, and what is not."""

import json

import httpx
import pytest
from langchain_aws import ChatBedrockConverse
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_google_genai import ChatGoogleGenerativeAI
from langchain_openai import AzureChatOpenAI

CHAT = {
    'id': 'chatcmpl-1',
    'object': 'chat.completion',
    'created': 1_790_000_000,
    'model': 'gpt-4o-2024-08-06',
    'service_tier': 'default',
    'choices': [
        {'index': 0, 'finish_reason': 'stop', 'message': {'role': 'assistant', 'content': 'Here.'}}
    ],
    'usage': {
        'prompt_tokens': 1_200,
        'completion_tokens': 30,
        'total_tokens': 1_230,
        'prompt_tokens_details': {'cached_tokens': 1_024},
    },
}
GEMINI = {
    'candidates': [
        {'content': {'role': 'model', 'parts': [{'text': 'Here.'}]}, 'finishReason': 'STOP'}
    ],
    'usageMetadata': {
        'promptTokenCount': 1_200,
        'cachedContentTokenCount': 1_000,
        'candidatesTokenCount': 10,
        'thoughtsTokenCount': 20,
        'totalTokenCount': 1_230,
    },
    'modelVersion': 'gemini-2.5-flash',
    'responseId': 'resp-1',
}


def answering(body: dict) -> httpx.MockTransport:
    return httpx.MockTransport(lambda request: httpx.Response(200, json=body))


def test_azure_is_read_on_the_wire(entries, handler) -> None:
    model = AzureChatOpenAI(
        azure_endpoint='https://desk.openai.azure.com',
        azure_deployment='support',
        api_version='2025-01-01-preview',
        api_key='sk-simulated',
        http_client=httpx.Client(transport=answering(CHAT)),
    )
    model.invoke('Where?', config={'callbacks': [handler], 'metadata': {'tenant': 'acme'}})

    (entry,) = entries()
    assert ('azure', 'azure:chatcmpl-1', 'desk.openai.azure.com', 'acme') == (
        entry.provider, entry.id, entry.endpoint, entry.attribution.tenant
    )  # fmt: skip
    assert (1_200, 1_024, 30) == (
        entry.usage.input_tokens, entry.usage.cache_read_tokens, entry.usage.output_tokens
    )  # fmt: skip
    # The deployment's region is in no answer, and it may cost more.
    assert 'exact' != entry.quote.status


def test_gemini_is_read_on_the_wire(entries, handler) -> None:
    model = ChatGoogleGenerativeAI(
        model='gemini-2.5-flash',
        api_key='simulated',
        client_args={'transport': answering(GEMINI)},
    )
    model.invoke('Where?', config={'callbacks': [handler], 'metadata': {'tenant': 'acme'}})

    (entry,) = entries()
    assert ('google', 'google:resp-1', 'gemini', 'acme') == (
        entry.provider, entry.id, entry.api, entry.attribution.tenant
    )  # fmt: skip
    assert (1_200, 1_000, 30, 20) == (
        entry.usage.input_tokens,
        entry.usage.cache_read_tokens,
        entry.usage.output_tokens,
        entry.usage.reasoning_tokens,
    )


class Bedrock:
    """Answers as boto3's `bedrock-runtime` client does."""

    def converse(self, **request) -> dict:
        json.dumps(request)
        return {
            'ResponseMetadata': {'RequestId': 'r-1', 'HTTPStatusCode': 200},
            'output': {'message': {'role': 'assistant', 'content': [{'text': 'Here.'}]}},
            'stopReason': 'end_turn',
            'usage': {
                'inputTokens': 200,
                'outputTokens': 30,
                'totalTokens': 1_230,
                'cacheReadInputTokens': 1_000,
                'cacheWriteInputTokens': 0,
            },
            'metrics': {'latencyMs': 1},
        }


def test_bedrock_is_posted_from_the_frameworks_usage(entries, handler) -> None:
    model = ChatBedrockConverse(
        model='us.anthropic.claude-sonnet-4-5-20250929-v1:0',
        client=Bedrock(),
        bedrock_client=Bedrock(),
        region_name='us-east-1',
    )
    model.invoke('Where?', config={'callbacks': [handler], 'metadata': {'tenant': 'acme'}})

    (entry,) = entries()
    assert ('aws-bedrock', 'langchain_usage_metadata', None, 'acme') == (
        entry.provider, entry.api, entry.endpoint, entry.attribution.tenant
    )  # fmt: skip
    assert (1_200, 1_000, 30) == (
        entry.usage.input_tokens, entry.usage.cache_read_tokens, entry.usage.output_tokens
    )  # fmt: skip


@pytest.mark.parametrize('streamed', [False, True])
def test_a_model_without_usage_is_an_unpriced_estimate(entries, handler, streamed) -> None:
    model = GenericFakeChatModel(messages=iter([AIMessage('It is on its way.')]))
    config = {'callbacks': [handler]}
    list(model.stream('Where?', config)) if streamed else model.invoke('Where?', config)

    (entry,) = entries()
    assert ('estimated', 'unpriced', None) == (
        entry.usage_source, entry.quote.status, entry.quote.cost
    )  # fmt: skip
