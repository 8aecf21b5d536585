// Speaks as the VS Code extension "ELITEA Code" does: the same addresses, the same bodies, and the same fields of the
// responses. The only input is the file settings.json that the service's page offers for VS Code.
//
// Usage: node extension.mjs SETTINGS.JSON
// Prints one line of JSON: what the extension shows at its start, the models that it offers, and the model's answer.
// If a request is refused, it prints the status and the body to stderr, and exits with status 1.

import { readFileSync } from "node:fs";

const SECTION = "eliteacode.";
// The types that the extension declares for its settings.
const TYPES = {
  LLMServerUrl: "string",
  LLMModelName: "string",
  LLMAuthToken: "string",
  projectId: "number",
  integrationUid: "string",
  displayType: "string",
  verifySsl: "boolean",
  debug: "boolean",
};
const DISPLAYS = ["append", "split", "replace", "prepend"];
// The extension checks the token against this pattern at its start. It uses the token in any case.
const JWT = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;

function check(holds, what) {
  if (!holds) throw new Error(`unexpected: ${what}`);
}

const file = JSON.parse(readFileSync(process.argv[2], "utf8"));
const settings = Object.fromEntries(Object.keys(TYPES).map((name) => [name, file[SECTION + name]]));
for (const [name, type] of Object.entries(TYPES)) check(typeof settings[name] === type, `the type of ${name}`);
check(DISPLAYS.includes(settings.displayType), "displayType");

const base = `${settings.LLMServerUrl}/api/v1`;

async function call(method, path, body) {
  const headers = { Authorization: `Bearer ${settings.LLMAuthToken}`, "Content-Type": "application/json" };
  const answer = await fetch(base + path, { method, headers, body: body && JSON.stringify(body) });
  const text = await answer.text();
  if (!answer.ok) {
    console.error(`${answer.status} ${text}`);
    process.exit(1);
  }
  return JSON.parse(text);
}

const { projectId } = settings;
const models = [];
for (const query of ["", "?section=ai"]) {
  const integrations = await call("GET", `/integrations/integrations/default/${projectId}${query}`);
  check(Array.isArray(integrations), "integrations");
  for (const { uid, name, config, settings } of integrations) {
    check([uid, name, config.name].every((text) => typeof text === "string"), "an integration");
    check(settings.models.every((model) => typeof model.name === "string"), "the models of an integration");
  }
  const chosen = integrations.find((integration) => integration.uid === settings.integrationUid);
  check(chosen?.settings.models.some((model) => model.name === settings.LLMModelName), "the model of the settings");
  models.push(integrations.flatMap((integration) => integration.settings.models.map((model) => model.name)));
}
check(JSON.stringify(models[0]) === JSON.stringify(models[1]), "the integrations of the section ai");

const rows = {};
const all = "?offset=0&limit=1000";
for (const [name, path] of [
  ["tags", `/prompt_lib/tags/prompt_lib/${projectId}?query=code&offset=0&limit=1000`],
  ["prompts", `/prompt_lib/prompts/prompt_lib/${projectId}${all}`],
  ["datasources", `/datasources/datasources/prompt_lib/${projectId}${all}`],
  ["applications", `/applications/applications/prompt_lib/${projectId}${all}`],
]) {
  const list = await call("GET", path);
  check(Array.isArray(list.rows), `the rows of ${name}`);
  check(list.rows.every((row) => row.id !== undefined && typeof row.name === "string"), `a row of ${name}`);
  rows[name] = list.rows.length;
}

const model = { model_name: settings.LLMModelName, integration_uid: settings.integrationUid };
const answer = await call("POST", `/prompt_lib/predict/prompt_lib/${projectId}`, {
  project_id: projectId,
  model_settings: { model, temperature: 0.5, max_tokens: 512, top_p: 0.5, top_k: 20, stream: true },
  context: "You write {{language}}.",
  user_input: "Explain this code.",
  variables: [{ name: "language", value: "Rust" }],
  chat_history: [
    { role: "user", content: "Hello" },
    { role: "assistant", content: "Hello" },
  ],
});
check(typeof answer.response === "string", "response");
check(Array.isArray(answer.messages), "messages");
// The extension joins the messages if there is no response. Both ways must lead to the same text.
const joined = answer.messages.map((message) => message.content).join("\n");
check(joined === answer.response, "the messages");

const shown = JWT.test(settings.LLMAuthToken) ? null : "ELITEA Code: Invalid LLMAuth JWT token";
console.log(JSON.stringify({ shown, models: models[0], rows, answer: answer.response }));
