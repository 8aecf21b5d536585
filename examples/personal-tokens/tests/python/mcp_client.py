"""Connects to the service's MCP endpoint with a token, using the client library of the Model Context Protocol.

Usage: mcp_client.py URL, with the token in the environment variable TOKEN.
Prints a line of JSON with the names of the tools and the result of the tool list_models. Then waits for a line
on standard input, and calls the tool again. The service must refuse this second call. Prints the parts of the
refusal that the library reads.
"""

import asyncio
import json
import os
import sys

import httpx2
from mcp import Client, MCPError
from mcp.client.auth.utils import (
    extract_field_from_www_auth,
    extract_resource_metadata_from_www_auth,
    extract_scope_from_www_auth,
)
from mcp.client.streamable_http import streamable_http_client


async def main(url):
    refused = []

    async def note(response):
        if response.status_code >= 400:
            refused.append(response)

    headers = {"Authorization": "Bearer " + os.environ["TOKEN"]}
    async with httpx2.AsyncClient(headers=headers, timeout=30, event_hooks={"response": [note]}) as http:
        async with Client(streamable_http_client(url, http_client=http)) as client:
            tools = [tool.name for tool in (await client.list_tools()).tools]
            answer = await client.call_tool("list_models", {})
            print(json.dumps({"tools": tools, "models": answer.content[0].text}), flush=True)
            await asyncio.to_thread(sys.stdin.readline)
            try:
                await client.call_tool("list_models", {})
                sys.exit("the tool answered")
            except MCPError:
                pass
        response = refused[-1]
        await read(response, http)


async def read(response, http):
    # This reads the metadata as plain JSON, because the library's own type requires an authorization server. This
    # service has no authorization server.
    metadata = (await http.get(extract_resource_metadata_from_www_auth(response))).json()
    print(
        json.dumps(
            {
                "status": response.status_code,
                "error": extract_field_from_www_auth(response, "error"),
                "error_description": extract_field_from_www_auth(response, "error_description"),
                "scope": extract_scope_from_www_auth(response),
                "resource": metadata["resource"],
            }
        ),
        flush=True,
    )


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
