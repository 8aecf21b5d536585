"""Lists the models of a project, and sends a question to one of them.

The only input is the file settings.json that the service's page offers for VS Code.

Usage: ask.py SETTINGS.JSON
Prints three lines of JSON: the models of the project, the names of the models that the token may use, and the
text with which the model answers.
"""

import json
import sys
import urllib.error
import urllib.request


def call(server, token, path, body=None):
    request = urllib.request.Request(
        server + path,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": "Bearer " + token, "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def main(path):
    with open(path, encoding="utf-8") as file:
        settings = json.load(file)
    server, token = settings["eliteacode.LLMServerUrl"], settings["eliteacode.LLMAuthToken"]
    model, project = settings["eliteacode.LLMModelName"], settings["eliteacode.projectId"]
    models = call(server, token, f"/api/v2/configurations/models/{project}?include_shared=true")
    print(json.dumps(models["items"]))
    names = call(server, token, "/llm/v1/models")
    print(json.dumps([one["id"] for one in names["data"]]))
    question = {"model": model, "messages": [{"role": "user", "content": "What is the weather?"}]}
    answer = call(server, token, "/llm/v1/chat/completions", question)
    print(json.dumps(answer["choices"][0]["message"]["content"]))


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except urllib.error.HTTPError as error:
        sys.exit(f"{error.code} {error.read().decode()}")
