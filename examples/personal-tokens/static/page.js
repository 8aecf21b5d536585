// The pages work without this file. With it dialogs are modal, the list follows the search, texts
// are copied with one press, and a token is removed from the page when its dialog closes.
"use strict";

// Hides the buttons that only replace this script.
document.documentElement.classList.add("scripted");

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-submits]")) event.target.form.submit();
});

document.addEventListener("submit", (event) => {
  const { asks } = event.target.dataset;
  if (asks && !confirm(asks)) {
    event.preventDefault();
    return;
  }
  // A double press must not send the form twice.
  if (!event.target.matches("[data-once]")) return;
  for (const button of event.target.querySelectorAll("button")) button.disabled = true;
});

// A reload must not show the message again.
const here = new URL(location);
if (here.searchParams.has("said")) {
  here.searchParams.delete("said");
  history.replaceState(null, "", here);
}

const look = document.getElementById("look");
if (look) followLook(look);

const dialog = document.getElementById("dialog");
if (dialog) openModal(dialog);
else returnFocus();

// Updates the list while a person types or chooses a model, without a new page and without moving
// the focus.
function followLook(form) {
  let waiting;
  let asking;
  form.addEventListener("input", (event) => {
    if (!event.target.matches("input[data-lives]")) return;
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
    const address = `${form.action}?${new URLSearchParams(fields)}`;
    try {
      const answer = await fetch(address, { signal: asking.signal });
      // The session has ended or something failed: show that page.
      if (!answer.ok || answer.redirected) throw answer;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const part of document.querySelectorAll("[data-part]")) {
        part.replaceWith(document.adoptNode(page.getElementById(part.id)));
      }
      history.replaceState(null, "", address);
      const { count } = document.getElementById("list").dataset;
      document.getElementById("found").textContent = count === "0" ? "No tokens" : `Tokens on this page: ${count}`;
    } catch (error) {
      if (error.name !== "AbortError") location.assign(address);
    }
  }
}

// Returns the focus to the element that opened the dialog.
function returnFocus() {
  const opener = sessionStorage.getItem("opener");
  sessionStorage.removeItem("opener");
  const links = [...document.querySelectorAll("[aria-haspopup=dialog]")];
  if (opener) links.find((link) => link.getAttribute("href") === opener)?.focus();
}

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[aria-haspopup=dialog]");
  if (opener) sessionStorage.setItem("opener", opener.getAttribute("href"));
});

function openModal(dialog) {
  const back = dialog.dataset.back;
  // Sets the address of the list, so that a reload shows the list and neither sends a form again
  // nor opens the dialog again.
  history.replaceState(null, "", back);
  dialog.removeAttribute("open");
  dialog.showModal();

  let sending = false;
  dialog.addEventListener("submit", () => (sending = true));
  dialog.addEventListener("close", () => {
    sending = true;
    location.replace(back);
  });
  for (const link of dialog.querySelectorAll("[data-close]")) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      if (mayClose()) dialog.close();
    });
  }
  dialog.addEventListener("cancel", (event) => {
    if (!mayClose()) event.preventDefault();
  });
  // Asks before a draft is lost.
  addEventListener("beforeunload", (event) => {
    if (isDraft() && !sending) event.preventDefault();
  });

  function isDraft() {
    return "draft" in dialog.dataset && dialog.querySelector("#token-name").value.trim() !== "";
  }

  function mayClose() {
    return !isDraft() || confirm("Close without creating the token?");
  }

  copies(dialog);
  chooseExpiry(dialog);
  expectName(dialog);
  followPane(dialog);
  if ("secret" in dialog.dataset) guardSecret(dialog);
}

function guardSecret(dialog) {
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
  dialog.querySelector("#copy").focus();
}

function copies(dialog) {
  for (const button of dialog.querySelectorAll("[data-copies]")) {
    const source = document.getElementById(button.dataset.copies);
    const said = dialog.querySelector("#said");
    button.hidden = false;
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(source.textContent);
        button.textContent = "Copied";
        said.textContent = button.dataset.said;
      } catch {
        getSelection().selectAllChildren(source);
        said.textContent = "The browser blocked copying. The text is selected: press Ctrl+C or ⌘C.";
      }
    });
  }
}

// Fetches the preview in the same way as the download, so both are the same bytes.
function followPane(dialog) {
  const pane = dialog.querySelector("#pane");
  const preview = dialog.querySelector("#preview");
  if (!pane || !preview) return;
  pane.addEventListener("change", async () => {
    const tool = pane.querySelector("[name=tool]:checked");
    dialog.querySelector("#tool-hint").textContent = tool.dataset.hint;
    dialog.querySelector("#file-name").textContent = tool.dataset.file;
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

function chooseExpiry(dialog) {
  const unit = dialog.querySelector("#unit");
  if (!unit) return;
  const amount = dialog.querySelector("#amount");
  const follow = () => {
    const never = unit.value === "never";
    amount.disabled = never;
    amount.required = !never;
  };
  unit.addEventListener("change", follow);
  follow();
}

function expectName(dialog) {
  const typed = dialog.querySelector("#typed");
  if (!typed) return;
  const button = dialog.querySelector("#delete");
  const follow = () => (button.disabled = typed.value.trim() !== typed.dataset.expects);
  typed.addEventListener("input", follow);
  follow();
}
