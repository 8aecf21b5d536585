// The page works without this file. With it dialogs are modal, the token can be copied with one press, and it is
// wiped from the page when the pop-up closes.
"use strict";

for (const select of document.querySelectorAll("[data-submits]")) {
  select.form.querySelector("[data-plain]").hidden = true;
  select.addEventListener("change", () => select.form.submit());
}

// One press, one token.
for (const form of document.querySelectorAll("[data-once]")) {
  form.addEventListener("submit", () => {
    for (const button of form.querySelectorAll("button")) button.disabled = true;
  });
}

const dialog = document.getElementById("dialog");
if (dialog) {
  const back = dialog.dataset.back;
  // The address of the list, so that a reload shows that and neither sends a form again nor opens the dialog again.
  history.replaceState(null, "", back);
  dialog.removeAttribute("open");
  dialog.showModal();

  dialog.addEventListener("close", () => location.replace(back));
  for (const link of dialog.querySelectorAll("[data-close]")) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      if (mayClose()) dialog.close();
    });
  }
  dialog.addEventListener("cancel", (event) => {
    if (!mayClose()) event.preventDefault();
  });

  // A draft is not lost without a word.
  function mayClose() {
    const name = dialog.querySelector("#token-name");
    if (!("draft" in dialog.dataset) || name.value.trim() === "") return true;
    return confirm("Close without making the token?");
  }

  if ("secret" in dialog.dataset) showSecret(dialog);
  chooseExpiry(dialog);
  expectName(dialog);
}

function showSecret(dialog) {
  const token = dialog.querySelector("#token");
  const copy = dialog.querySelector("#copy");
  const said = dialog.querySelector("#said");
  const wipe = () => (token.textContent = "");
  // Also out of a page that the browser keeps for its Back button.
  addEventListener("pagehide", wipe);
  dialog.addEventListener("close", wipe);

  copy.hidden = false;
  copy.focus();
  copy.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(token.textContent);
      copy.textContent = "Copied";
      said.textContent = "The token is on the clipboard.";
    } catch {
      getSelection().selectAllChildren(token);
      said.textContent = "The browser does not let us copy. The token is selected: press Ctrl+C or ⌘C.";
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
