"""Calls methods of gRPC, without generated code.

The argument is the address of the server. The input is a JSON list of calls: the path, the kind of
the method, and the metadata. The output is a JSON list of answers: the code, and either the messages
or the message and the trailing metadata of the error.
"""

import json
import sys

import grpc


def call(channel, path, kind, metadata):
    method = getattr(channel, kind)(path)
    message = iter([b"a", b"b"]) if kind.startswith("stream_") else b"a"
    try:
        answer = method(message, metadata=[tuple(pair) for pair in metadata], timeout=60)
        messages = list(answer) if kind.endswith("_stream") else [answer]
        return {"code": 0, "messages": [text.decode() for text in messages]}
    except grpc.RpcError as error:
        trailing = error.trailing_metadata()
        return {"code": error.code().value[0], "message": error.details(), "metadata": list(map(list, trailing))}


with grpc.insecure_channel(sys.argv[1], options=[("grpc.enable_http_proxy", 0)]) as channel:
    print(json.dumps([call(channel, *one) for one in json.load(sys.stdin)]))
