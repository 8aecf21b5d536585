// The pages work without this file. With it dialogs are modal, the list follows the search, texts
// are copied with one press, times are in the time zone of the reader, a draft survives a reload,
// and a token is removed from the page when its dialog closes.
"use strict";

// Hides the buttons that only replace this script.
document.documentElement.classList.add("scripted");
showLocalTimes(document);

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-submits]")) event.target.form.submit();
});

document.addEventListener("submit", (event) => {
  const { asks } = event.target.dataset;
  if (asks && !confirm(asks)) {
    event.preventDefault();
    return;
  }
  if (event.target.matches("[action='/sign-out']")) forgetDrafts();
  // A double press must not send the form twice.
  if (!event.target.matches("[data-once]")) return;
  for (const button of event.target.querySelectorAll("button")) button.disabled = true;
});

// A reload must not show the message again.
const here = new URL(location);
if (here.searchParams.has("said")) {
  here.searchParams.delete("said");
  here.searchParams.delete("of");
  history.replaceState(null, "", here);
}

// The link to the tokens leads to the project that the person looked at last.
const project = document.querySelector("#look [name=project]")?.value;
if (project) sessionStorage.setItem("project", project);
const last = sessionStorage.getItem("project");
if (last) document.querySelector(".side a[href='/settings/tokens']")?.setAttribute("href", `/settings/tokens?project=${last}`);

const look = document.getElementById("look");
if (look) followLook(look);
followMenus();
followCopies();

const dialog = document.getElementById("dialog");
if (dialog) openModal(dialog);
else returnFocus();

// Replaces times in UTC by times in the time zone of the reader.
function showLocalTimes(part) {
  const date = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });
  for (const time of part.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (time.title) time.title = localTime(at);
    if ("exact" in time.dataset) time.textContent = localTime(at, "seconds" in time.dataset);
    if ("date" in time.dataset) time.textContent = date.format(at);
  }
}

function localTime(at, withSeconds = false) {
  const parts = { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" };
  if (withSeconds) parts.second = "2-digit";
  return new Intl.DateTimeFormat("en-GB", parts).format(at);
}

// Returns a text without the secret, if it contains a whole token. A secret must not get into an
// address.
function withoutSecret(text) {
  return text.replace(/\b([a-z][a-z0-9_]*_\d+_[0-9A-Za-z]{16})_\S*/g, "$1");
}

// Updates the list while a person types or chooses, without a new page and without moving the
// focus.
function followLook(form) {
  let waiting;
  let asking;
  form.addEventListener("input", (event) => {
    if (!event.target.matches("input[data-lives]")) return;
    const cut = withoutSecret(event.target.value);
    if (cut !== event.target.value) event.target.value = cut;
    clearTimeout(waiting);
    waiting = setTimeout(refresh, 150);
  });
  form.addEventListener("change", (event) => {
    if (event.target.matches("select[data-lives]")) refresh();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(waiting);
    refresh();
  });

  async function refresh() {
    asking?.abort();
    asking = new AbortController();
    const fields = [...new FormData(form)].filter(([, value]) => value !== "");
    const address = `${form.getAttribute("action")}?${new URLSearchParams(fields)}`;
    try {
      const answer = await fetch(address, { signal: asking.signal });
      // The session has ended or something failed: show that page.
      if (!answer.ok || answer.redirected) throw answer;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const part of document.querySelectorAll("[data-part]")) {
        const next = document.adoptNode(page.getElementById(part.id));
        showLocalTimes(next);
        part.replaceWith(next);
      }
      document.querySelector("main > .notice")?.remove();
      history.replaceState(null, "", address);
      const { count } = document.getElementById("list").dataset;
      document.getElementById("found").textContent = count === "0" ? "No tokens" : `Tokens on this page: ${count}`;
    } catch (error) {
      if (error.name !== "AbortError") location.assign(address);
    }
  }
}

// Closes a menu if the person chooses something else, and lets Escape close it.
function followMenus() {
  const close = (menu) => menu.removeAttribute("open");
  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll(".menu[open]")) if (!menu.contains(event.target)) close(menu);
  });
  document.addEventListener("focusin", (event) => {
    for (const menu of document.querySelectorAll(".menu[open]")) if (!menu.contains(event.target)) close(menu);
  });
  document.addEventListener("keydown", (event) => {
    const menu = event.key === "Escape" && event.target.closest?.(".menu[open]");
    if (!menu) return;
    close(menu);
    menu.querySelector("summary").focus();
  });
  // A menu near the lower edge opens upwards.
  document.addEventListener(
    "toggle",
    (event) => {
      if (!event.target.matches(".menu[open]")) return;
      const sheet = event.target.querySelector(".sheet");
      sheet.classList.remove("up");
      const { bottom, height } = sheet.getBoundingClientRect();
      if (bottom > innerHeight && event.target.getBoundingClientRect().top > height) sheet.classList.add("up");
    },
    true,
  );
}

// Returns the focus to the element that opened the dialog. An element in a menu is hidden, so the
// button of the menu gets the focus.
function returnFocus() {
  const opener = sessionStorage.getItem("opener");
  sessionStorage.removeItem("opener");
  const links = [...document.querySelectorAll("[aria-haspopup=dialog]")];
  const link = opener && links.find((link) => link.getAttribute("href") === opener);
  if (link) (link.closest(".menu")?.querySelector("summary") ?? link).focus();
}

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[aria-haspopup=dialog]");
  if (opener) sessionStorage.setItem("opener", opener.getAttribute("href"));
});

function openModal(dialog) {
  const back = dialog.dataset.back;
  // Sets the address of the list, so that a reload shows the list and neither sends a form again
  // nor opens the dialog again. A draft keeps its address, because a reload must not lose it.
  if (!("draft" in dialog.dataset)) history.replaceState(null, "", back);
  dialog.removeAttribute("open");
  dialog.showModal();

  const draft = "draft" in dialog.dataset ? keepDraft(dialog) : null;
  const secret = "secret" in dialog.dataset ? guardSecret(dialog) : null;
  dialog.addEventListener("close", () => location.replace(back));
  for (const link of dialog.querySelectorAll("[data-close]")) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      leave();
    });
  }
  // Chromium closes a dialog at the second Escape, whatever the page does at "cancel". It does not
  // see a key that the page has handled.
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.preventDefault();
    leave();
  });
  dialog.addEventListener("cancel", (event) => {
    event.preventDefault();
    leave();
  });

  function leave() {
    if (draft?.hasText() && !confirm("Close without creating the token?")) return;
    if (secret?.mustAsk() && !confirm("Close without copying the token? It cannot be shown again.")) return;
    draft?.forget();
    dialog.close();
  }

  chooseExpiry(dialog);
  expectName(dialog);
  followPane(dialog);
  if (secret) dialog.querySelector("#copy").focus();
}

// Keeps what a person has entered until the token is issued, so that neither a reload nor a session
// that has ended loses it. The draft holds no secret. It belongs to the person: another person may
// sign in on the same machine.
function keepDraft(dialog) {
  const form = dialog.querySelector("form");
  const person = document.querySelector("#person b").textContent;
  const key = `draft ${person} ${dialog.dataset.draft} ${form.getAttribute("action")}`;
  const kept = ["name", "project", "preset", "amount", "unit", "scope", "addresses"];
  const name = form.elements.namedItem("name");
  const stored = sessionStorage.getItem(key);
  if (stored && name.value === "") {
    const fields = new URLSearchParams(stored);
    for (const field of form.elements) {
      if (!kept.includes(field.name) || !(fields.has(field.name) || field.name === "scope")) continue;
      if (field.type === "radio" || field.type === "checkbox") field.checked = fields.getAll(field.name).includes(field.value);
      else field.value = fields.get(field.name);
    }
    if (form.elements.namedItem("addresses")?.value) form.querySelector("details")?.setAttribute("open", "");
  }
  const store = () => {
    const fields = [...new FormData(form)]
      .filter(([field]) => kept.includes(field))
      .map(([field, value]) => [field, withoutSecret(value)]);
    sessionStorage.setItem(key, new URLSearchParams(fields).toString());
  };
  form.addEventListener("input", store);
  return {
    hasText: () => name.value.trim() !== "",
    forget: () => sessionStorage.removeItem(key),
  };
}

function forgetDrafts() {
  for (const key of Object.keys(sessionStorage)) if (key.startsWith("draft ")) sessionStorage.removeItem(key);
}

// Removes the token from the page when the dialog closes. Remembers whether the person has copied
// anything, so that closing asks once.
function guardSecret(dialog) {
  forgetDrafts();
  let isSafe = false;
  const wipe = () => {
    dialog.querySelector("#token").textContent = "";
    const sent = dialog.querySelector("input[name=token]");
    if (sent) sent.value = "";
    const preview = dialog.querySelector("#preview");
    if (preview) preview.textContent = "";
  };
  // The browser may keep this page for its Back button, so the token is removed on leaving it too.
  addEventListener("pagehide", wipe);
  dialog.addEventListener("close", wipe);
  dialog.addEventListener("copy", () => (isSafe = true));
  dialog.addEventListener("copied", () => (isSafe = true));
  dialog.querySelector("#download")?.addEventListener("click", () => (isSafe = true));
  return {
    mustAsk() {
      const asks = !isSafe;
      isSafe = true;
      return asks;
    },
  };
}

// Lets buttons copy the text of the element that they name.
function followCopies() {
  for (const button of document.querySelectorAll("[data-copies][hidden]")) button.hidden = false;
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copies]");
    if (!button) return;
    const source = document.getElementById(button.dataset.copies);
    const said = button.closest("dialog, section, main").querySelector("#said");
    try {
      await navigator.clipboard.writeText(source.textContent.trim());
      button.textContent = "Copied";
      if (said) said.textContent = button.dataset.said;
      button.dispatchEvent(new Event("copied", { bubbles: true }));
    } catch {
      getSelection().selectAllChildren(source);
      if (said) said.textContent = "The browser blocked copying. The text is selected: press Ctrl+C or ⌘C.";
    }
  });
}

// Fetches the preview in the same way as the download, so both are the same bytes.
function followPane(dialog) {
  const pane = dialog.querySelector("#pane");
  const preview = dialog.querySelector("#preview");
  if (!pane || !preview) return;
  pane.addEventListener("change", async () => {
    const tool = pane.querySelector("[name=tool]:checked");
    if (!tool) return;
    dialog.querySelector("#tool-hint").textContent = tool.dataset.hint;
    dialog.querySelector("#file-name").textContent = tool.dataset.file;
    dialog.querySelector("#chosen").hidden = false;
    const said = dialog.querySelector("#said");
    if ("needsModel" in tool.dataset && !pane.querySelector("[name=integration]").value) {
      preview.textContent = "";
      dialog.querySelector("#made").hidden = true;
      said.textContent = said.dataset.needs;
      return;
    }
    const fields = new URLSearchParams(new FormData(pane));
    fields.set("do", "download");
    try {
      const answer = await fetch(pane.action, { method: "POST", body: fields });
      if (!answer.ok || answer.redirected) throw answer;
      const text = await answer.text();
      // A later choice may have been answered first, or the dialog may be closed.
      if (!tool.checked || !dialog.open) return;
      preview.textContent = text;
      dialog.querySelector("#made").hidden = false;
      said.textContent = "";
    } catch {
      preview.textContent = "";
      said.textContent = "The settings could not be loaded. Choose again, or reload the page.";
    }
  });
}

// Shows when the new token would expire, and the number and the unit only for a custom time.
function chooseExpiry(dialog) {
  const presets = [...dialog.querySelectorAll("[name=preset]")];
  if (!presets.length) return;
  const custom = dialog.querySelector("#custom");
  const amount = dialog.querySelector("#amount");
  const unit = dialog.querySelector("#unit");
  const expires = dialog.querySelector("#expires-on");
  const minutes = { minutes: 1, hours: 60, days: 24 * 60, weeks: 7 * 24 * 60 };
  const follow = () => {
    const chosen = presets.find((preset) => preset.checked) ?? presets[0];
    custom.hidden = chosen.value !== "custom";
    amount.required = chosen.value === "custom";
    dialog.querySelector("#never-hint").hidden = chosen.value !== "never";
    const { end } = chosen.dataset;
    const own = new Date(Date.now() + Number(amount.value) * minutes[unit.value] * 60_000);
    const at = end ? new Date(end) : own;
    if (chosen.value === "never") expires.textContent = "Never expires.";
    else if (!(end || Number(amount.value) > 0) || Number.isNaN(at.getTime())) expires.textContent = "";
    else expires.textContent = `Expires on ${localTime(at)}.`;
  };
  dialog.querySelector("#expiration").addEventListener("input", follow);
  follow();
}

function expectName(dialog) {
  const typed = dialog.querySelector("#typed");
  if (!typed) return;
  const button = dialog.querySelector("#delete");
  const follow = () => (button.disabled = typed.value.trim() !== typed.dataset.expects.trim());
  typed.addEventListener("input", follow);
  follow();
}
