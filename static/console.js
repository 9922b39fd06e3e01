// The console's behavior, hung on data- attributes; every page works without it.
"use strict";

(() => {
  const dialog = () => document.getElementById("dialog");
  const announce = (text) => { document.getElementById("announcement").textContent = text; };
  const MEBIBYTE = 1024 * 1024;

  document.documentElement.dataset.scripts = "on";

  // data-show-when="authentication=mutual" or "type=a|b": shown while the form's field has that value.
  const showWhen = (root) => {
    for (const part of root.querySelectorAll("[data-show-when]")) {
      const [name, values] = part.dataset.showWhen.split("=");
      const field = part.closest("form")?.elements.namedItem(name);
      if (field) part.hidden = !values.split("|").includes(field.value);
    }
    // What is not shown is neither checked by the browser nor sent.
    for (const control of root.querySelectorAll("[data-show-when] :is(input, select, textarea, button)")) {
      control.disabled = control.closest("[data-show-when][hidden]") !== null;
    }
  };

  const copyText = async (button) => {
    const source = button.dataset.copy && document.querySelector(button.dataset.copy);
    const text = source ? source.textContent : button.dataset.copyText;
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

  // data-read-into="#id": the chosen text file goes into that textarea. What is large or not text
  // stays chosen and is sent, and the server says what is wrong with it.
  const readFile = async (input) => {
    const [file] = input.files;
    if (!file || file.size > MEBIBYTE) return;
    const text = await file.text();
    if (text.includes("\0") || text.includes("\ufffd")) return;
    const area = document.querySelector(input.dataset.readInto);
    area.value = text;
    area.dispatchEvent(new Event("input", { bubbles: true }));
    input.value = "";
    announce(`${file.name} was read`);
  };

  document.addEventListener("change", ({ target }) => {
    if (target.form) showWhen(target.form);
    if (target.matches("[data-read-into]")) readFile(target);
  });

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

  document.addEventListener("keydown", (event) => {
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

  document.addEventListener("htmx:afterSwap", ({ detail }) => {
    showWhen(detail.target);
    if (detail.target !== dialog()) return;
    if (!dialog().open) dialog().showModal();
    // To what is wrong, else to what is filled in first, else to the harmless button.
    for (const place of ["[aria-invalid=true], .is-invalid", ".dialog-body :is(input:not([type=hidden]), select, textarea)", ".dialog-footer [data-dialog-close]"]) {
      const control = dialog().querySelector(place);
      if (control) return control.focus();
    }
  });

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
    showWhen(document);
    // A refused page begins where something is to be mended, as a refused dialog does.
    document.querySelector("main form [aria-invalid=true]")?.focus();
    // What was typed, a private key perhaps, goes when the dialog is closed.
    dialog()?.addEventListener("close", () => dialog().replaceChildren());
  });
})();
