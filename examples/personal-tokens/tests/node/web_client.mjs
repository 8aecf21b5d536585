// Speaks as the web client EliteaUI does: with the cookie of a session, and with an Origin in requests that change
// something.
//
// Usage: PASSWORD=… node web_client.mjs SERVER NAME PROJECT
// Prints one line of JSON with what the client shows. If a request is refused, it prints the status and the body to
// stderr, and exits with status 1.

const [server, name, project] = process.argv.slice(2);
const tokens = `${server}/api/v2/auth/token`;
let cookie = "";

function check(holds, what) {
  if (!holds) throw new Error(`unexpected: ${what}`);
}

async function send(method, url, body, headers = { Origin: server }) {
  const type = body instanceof URLSearchParams ? {} : { "Content-Type": "application/json" };
  const text = body && !(body instanceof URLSearchParams) ? JSON.stringify(body) : body;
  // fetch does not follow redirects here, because a browser keeps the cookie of each step and fetch does not.
  const init = { method, headers: { Cookie: cookie, ...type, ...headers }, body: text, redirect: "manual" };
  const answer = await fetch(url, init);
  for (const set of answer.headers.getSetCookie()) cookie = set.split(";")[0];
  return answer;
}

async function call(method, url, body) {
  const answer = await send(method, url, body);
  const text = await answer.text();
  if (!answer.ok) {
    console.error(`${answer.status} ${text}`);
    process.exit(1);
  }
  return text === "" ? null : JSON.parse(text);
}

async function signIn() {
  const page = await (await send("GET", `${server}/sign-in`)).text();
  const hidden = [...page.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)"/g)];
  const form = new URLSearchParams(hidden.map(([, name, value]) => [name, value]));
  form.set("name", name);
  form.set("password", process.env.PASSWORD);
  const answer = await send("POST", `${server}/sign-in`, form);
  if (answer.status !== 303) {
    console.error(`${answer.status} sign-in`);
    process.exit(1);
  }
}

await signIn();

// The button "+" is enabled if there are models.
const query = "include_shared=true&section=llm";
const listed = await call("GET", `${server}/api/v2/configurations/models/${project}?${query}`);
check(listed.total === listed.items.length, "total");
const distinct = new Set(listed.items.map((item) => JSON.stringify([item.project_id, item.name])));
check(distinct.size === listed.items.length, "a model is listed twice");
check(listed.items.every((item) => typeof item.default === "boolean"), "default");
const models = listed.items.map((item) => item.name);

const before = await call("GET", `${tokens}/`);
check(Array.isArray(before), "the list");

// A request that another site causes is refused, although it has the cookie.
for (const headers of [{}, { Origin: "https://evil.example" }]) {
  const forged = await send("POST", `${tokens}/`, { name: "forged", expires: null }, headers);
  check(forged.status === 403, `a forged request: ${forged.status}`);
}

// The client sends the text of its input field as the number of days.
const wanted = { name: "VSCode Integration", expires: { measure: "days", value: "30" }, project_id: Number(project) };
const made = await call("POST", `${tokens}/`, wanted);
check(made.token.includes("_") && !made.token.includes("*"), "the new token");
const days = (Date.parse(made.expires) - Date.parse(made.created_at)) / 86_400_000;

const after = await call("GET", `${tokens}/`);
check(after.length === before.length + 1, "the length of the list");
const row = after.find((one) => one.uuid === made.uuid);
check(row.id === made.id && row.name === wanted.name && row.user_id === made.user_id, "the row");
check(row.token !== made.token, "the token is masked");
const ends = row.token.slice(-4);
check(/^[0-9A-Za-z]{4}$/.test(ends) && made.token.includes(ends), "the last four characters");

// Both forms of an address are one resource.
for (const url of [`${tokens}/${made.uuid}`, `${tokens}/${made.uuid}/`]) {
  check((await call("GET", url)).token === row.token, url);
}
check((await call("GET", tokens)).length === after.length, "the list without a slash");

await call("DELETE", `${tokens}/${made.uuid}`);
check((await send("GET", `${tokens}/${made.uuid}`)).status === 404, "the deleted token");
check((await call("GET", `${tokens}/`)).length === before.length, "the list at the end");

console.log(JSON.stringify({ models, days, ends, token: made.token }));
