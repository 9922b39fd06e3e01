// The console's behavior, hung on data- attributes; every page works without it.
"use strict";

(() => {
  const dialog = () => document.getElementById("dialog");
  const announce = (text) => { document.getElementById("announcement").textContent = text; };
  const MEBIBYTE = 1024 * 1024;

  document.documentElement.dataset.scripts = "on";

  // What a form would send as this field; a checkbox that is off sends nothing, or the hidden field before it.
  const valueOf = (form, name) => {
    let value;
    for (const control of form.elements) {
      if (control.name !== name) continue;
      value ??= "";
      if (!/^(radio|checkbox)$/.test(control.type) || control.checked) value = control.value;
    }
    return value;
  };

  // data-show-when="type=a|b" or "protocol=HTTP;redirects=on": shown while each field has one of its values;
  // data-show-unless is hidden then. A field that the form does not have says nothing.
  const showWhen = (root) => {
    for (const part of root.querySelectorAll("[data-show-when], [data-show-unless]")) {
      const form = part.closest("form");
      if (!form) continue;
      const conditions = (part.dataset.showWhen ?? part.dataset.showUnless).split(";").map((one) => one.split("="));
      const known = conditions.filter(([name]) => valueOf(form, name) !== undefined);
      if (!known.length) continue;
      const holds = known.every(([name, values]) => values.split("|").includes(valueOf(form, name)));
      part.hidden = "showWhen" in part.dataset ? !holds : holds;
    }
    // What is not shown is neither checked by the browser nor sent.
    const controls = ":is([data-show-when], [data-show-unless]) :is(input, select, textarea, button)";
    for (const control of root.querySelectorAll(controls)) {
      control.disabled = control.closest(":is([data-show-when], [data-show-unless])[hidden]") !== null;
    }
  };

  // data-follows="protocol" data-values="HTTPS=443;HTTP=80": the field within proposes what belongs to the
  // other's value, until somebody has typed into it.
  const follow = (changed) => {
    for (const part of changed.form.querySelectorAll(`[data-follows="${CSS.escape(changed.name)}"]`)) {
      const field = part.querySelector("input");
      const proposals = new Map(part.dataset.values.split(";").map((one) => one.split("=")));
      const isProposed = [...proposals.values()].includes(field.value);
      if (isProposed && !("touched" in field.dataset)) field.value = proposals.get(changed.value) ?? field.value;
    }
  };

  // data-counts="#id": how many characters that field has, of the most it takes.
  const count = (root) => {
    for (const place of root.querySelectorAll("[data-counts]")) {
      const field = document.querySelector(place.dataset.counts);
      if (field) place.textContent = `${field.value.length}/${field.maxLength}`;
    }
  };

  const copyText = async (button) => {
    const source = button.dataset.copy && document.querySelector(button.dataset.copy);
    const shown = source?.matches("input, textarea") ? source.value : source?.textContent;
    const text = shown ?? button.dataset.copyText;
    if (navigator.clipboard) {
      await navigator.clipboard.writeText(text);
    } else {
      // Over plain HTTP browsers offer the old way only.
      const area = Object.assign(document.createElement("textarea"), { value: text });
      button.after(area);
      area.select();
      document.execCommand("copy");
      area.remove();
      button.focus();
    }
    announce("Copied");
    const label = button.querySelector("[data-copy-label]") ?? button;
    if (label.dataset.before) return;
    label.dataset.before = label.textContent;
    label.textContent = "Copied";
    setTimeout(() => { label.textContent = label.dataset.before; delete label.dataset.before; }, 2000);
  };

  // data-read-into="#id": chosen text files go into that textarea, in the place of what is stored and
  // after anything else. What is large or not text stays chosen and is sent for the server to read.
  const readFiles = async (input) => {
    const area = document.querySelector(input.dataset.readInto);
    const left = new DataTransfer();
    const texts = [];
    const names = [];
    for (const file of [...input.files]) {
      const text = file.size > MEBIBYTE ? "\0" : await file.text();
      if (text.includes("\0") || text.includes("\ufffd")) left.items.add(file);
      else { texts.push(text); names.push(file.name); }
    }
    if (texts.length) {
      const isStored = "stored" in area.dataset && area.value === area.defaultValue;
      area.value = [...(isStored || !area.value.trim() ? [] : [area.value]), ...texts].map((text) => text.trim() + "\n").join("");
      area.dispatchEvent(new Event("input", { bubbles: true }));
    }
    input.files = left.files;
    announce([...names.map((name) => `${name} was read`), ...[...left.files].map((file) => `${file.name} is chosen`)].join(", "));
    showPassword(input.form);
  };

  // data-password: shown when what was handed in may need one, and once the server has asked for it.
  const showPassword = (form) => {
    const part = form?.querySelector("[data-password]");
    if (!part) return;
    const texts = [...form.querySelectorAll("textarea.pem")].map((area) => area.value).join();
    const isBinary = [...form.querySelectorAll("[data-read-into]")].some((input) => input.files.length);
    part.hidden = !("needed" in part.dataset || isBinary || /ENCRYPTED|BEGIN PKCS12/.test(texts));
  };

  document.addEventListener("change", ({ target }) => {
    if (target.form) {
      follow(target);
      showWhen(target.form);
    }
    if (target.matches("[data-read-into]")) readFiles(target);
  });
  document.addEventListener("input", ({ target }) => {
    if (target.matches("textarea.pem")) showPassword(target.form);
    if (target.closest("[data-follows]")) target.dataset.touched = "";
    if (target.maxLength > 0) count(document);
  });

  // data-drop: files may be dropped on the part, as if chosen in its file field; and for the first such
  // part anywhere on its form.
  const dropArea = (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return null;
    return event.target.closest?.("[data-drop]") ?? event.target.closest?.("form")?.querySelector("[data-drop]");
  };
  for (const type of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(type, (event) => {
      const area = dropArea(event);
      if (!area) return;
      event.preventDefault();
      area.classList.toggle("drop-over", type === "dragover");
      if (type !== "drop") return;
      const input = area.querySelector("input[type=file]");
      input.files = event.dataTransfer.files;
      readFiles(input);
    });
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button, a, summary");
    for (const menu of document.querySelectorAll("[data-menu][open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
    if (!button) return;
    if (button.matches("[data-copy], [data-copy-text]")) copyText(button);
    if (button.matches("[data-dialog-close]") && dialog().contains(button)) {
      event.preventDefault();
      dialog().close();
    }
  });

  // data-busy: a form whose answer takes seconds. The part says so from then on, and the form is sent once; in
  // the dialog htmx does the latter, and the answer takes the form's place.
  document.addEventListener("submit", (event) => {
    const part = event.target.querySelector("[data-busy]");
    if (!part) return;
    if (!part.hidden) event.preventDefault();
    part.hidden = false;
    announce(part.textContent.trim());
  });
  for (const failure of ["htmx:responseError", "htmx:sendError", "pageshow"]) {
    window.addEventListener(failure, () => {
      for (const part of document.querySelectorAll("[data-busy]")) part.hidden = true;
    });
  }

  // data-once: a form that is answered by a file which is given away once. A second click would break off the
  // first answer, and the file with it. data-after-once is shown from then on.
  const showOnce = (form, isSent) => {
    form.dataset.once = isSent ? "sent" : "";
    form.querySelector("[type=submit]").classList.toggle("disabled", isSent);
    const after = form.querySelector("[data-after-once]");
    if (after) after.hidden = !isSent;
    return after;
  };
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!("once" in form.dataset)) return;
    if (form.dataset.once) {
      event.preventDefault();
      return;
    }
    const after = showOnce(form, true);
    // Not while a second click may be coming: what scrolls into its place would be clicked.
    setTimeout(() => after?.focus(), 1000);
  });
  // Back from a page that says the connection failed: the form may be sent again.
  window.addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-once]")) showOnce(form, false);
  });

  document.addEventListener("keydown", (event) => {
    // Enter in a search box within a form searches; it does not send the form.
    if (event.key === "Enter" && event.target.matches("[data-search]")) {
      event.preventDefault();
      event.target.parentElement.querySelector("button[value=search]").click();
    }
    if (event.key !== "Escape") return;
    for (const menu of document.querySelectorAll("[data-menu][open]")) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  });

  // A whole page where a part was asked for is gone to, not put inside. When it is another page (the
  // session has ended, say), this one is asked for again, so that signing in leads back here. hx-select
  // takes its part out of a whole page.
  document.addEventListener("htmx:beforeSwap", ({ detail }) => {
    if (!detail.shouldSwap || !/^\s*<!doctype html/i.test(detail.serverResponse)) return;
    const here = window.location.pathname + window.location.search;
    const asked = new URL(detail.pathInfo.finalRequestPath, window.location.href);
    const isAnother = new URL(detail.xhr.responseURL).pathname !== asked.pathname;
    if (!isAnother && detail.requestConfig.elt.hasAttribute("hx-select")) return;
    detail.shouldSwap = false;
    window.location.assign(isAnother ? here : detail.xhr.responseURL);
  });

  // data-choices: what was ticked while another list was on its way stays ticked, and in sight.
  let choices = null;
  document.addEventListener("htmx:beforeSwap", ({ detail: { shouldSwap, target } }) => {
    if (!shouldSwap || !target.matches("[data-choices]")) return;
    // Noted now: a radio button of the new list takes the tick from the old one as it comes in.
    const ticked = new Map([...target.querySelectorAll("input:checked")].map((input) => [input.id, input]));
    choices = { target, ticked };
  });
  document.addEventListener("htmx:afterSwap", () => {
    const after = choices && document.getElementById(choices.target.id);
    if (!after || after === choices.target) return;
    const { ticked } = choices;
    choices = null;
    for (const input of after.querySelectorAll("input")) input.checked = ticked.delete(input.id);
    for (const input of ticked.values()) {
      after.firstElementChild.prepend(input.parentElement);
      input.checked = true;
    }
  });

  document.addEventListener("htmx:afterSwap", ({ detail }) => {
    showLastAnswer();
    showWhen(detail.target);
    count(detail.target);
    showPassword(detail.target.querySelector("form"));
    const news = document.querySelector("#results [data-announce]");
    if (news && detail.target.id === "results") announce(news.textContent);
    if (detail.target !== dialog()) return;
    if (!dialog().open) dialog().showModal();
    // To what is wrong, else to what is filled in first, else to the harmless button.
    for (const place of ["[data-focus]", "[aria-invalid=true], .is-invalid", ".dialog-body :is(input:not([type=hidden]), select, textarea)", ".dialog-footer [data-dialog-close]"]) {
      const control = dialog().querySelector(place);
      if (control) return control.focus();
    }
  });

  // data-fresh="3": what the page shows of the data plane is asked for anew all the time (hx-trigger), and
  // the console says with each answer when it was so. Silent for longer than that, what is shown is old.
  let silence, lastAnswer = "";
  const heard = ({ at, text, answers }) => {
    const root = document.documentElement;
    clearTimeout(silence);
    delete root.dataset.old;
    if (answers) lastAnswer = text;
    for (const time of document.querySelectorAll("[data-heard]")) {
      time.dateTime = at;
      time.textContent = text;
    }
    for (const part of document.querySelectorAll("[data-stale]")) part.hidden = true;
    silence = setTimeout(() => {
      root.dataset.old = "";
      for (const part of document.querySelectorAll("[data-stale]")) {
        part.querySelector("[data-heard-copy]").textContent = text;
        part.hidden = false;
      }
    }, Number(document.querySelector("[data-fresh]")?.dataset.fresh ?? 3) * 1000);
  };
  const showLastAnswer = () => {
    for (const part of document.querySelectorAll("[data-last-answer]")) {
      part.hidden = !lastAnswer || document.querySelector("[data-heard][data-answers]") !== null;
      part.querySelector("span").textContent = lastAnswer;
    }
  };
  const firstHeard = () => {
    const time = document.querySelector("[data-heard]");
    if (time) heard({ at: time.dateTime, text: time.textContent, answers: "answers" in time.dataset });
  };
  document.addEventListener("console-heard", ({ detail }) => heard(detail));

  const showFailure = (sentence) => {
    const notice = document.getElementById("dialog-error").content.firstElementChild.cloneNode(true);
    notice.firstElementChild.textContent = sentence;
    const place = dialog().open ? dialog().querySelector(".dialog-body") : document.getElementById("content");
    place.querySelector(":scope > .notice-error[role=alert]")?.remove();
    place.prepend(notice);
    notice.scrollIntoView({ block: "nearest" });
  };

  // Parts that refresh by themselves (hx-trigger) say what they know in their own words.
  const byHand = ({ detail }) => detail.requestConfig?.triggeringEvent?.isTrusted;
  document.addEventListener("htmx:responseError", (event) => {
    if (!byHand(event)) return;
    const { status } = event.detail.xhr;
    showFailure(
      status === 413
        ? "This is too large: a certificate or key is at most 1 MiB. Nothing was changed."
        : `The console answered with error ${status}. Nothing was changed; reload the page and try again.`,
    );
  });
  document.addEventListener("htmx:sendError", (event) => {
    if (byHand(event)) showFailure("The console does not answer. Nothing that you typed is lost; try again.");
  });

  document.addEventListener("DOMContentLoaded", () => {
    firstHeard();
    // data-enter="next": the button that Enter presses. With scripts, search boxes have an Enter of their own.
    for (const button of document.querySelectorAll("[data-enter]")) button.value = button.dataset.enter;
    showWhen(document);
    count(document);
    for (const form of document.forms) showPassword(form);
    // A refused page begins where something is to be mended, one that is to be looked at where that stands.
    const first = ["[aria-invalid=true]", "[data-focus]"].map((place) => document.querySelector(`main form ${place}`));
    (first[0] ?? first[1])?.focus();
    // What was typed, a private key perhaps, goes when the dialog is closed.
    dialog()?.addEventListener("close", () => dialog().replaceChildren());
  });
})();
