// Keys and live news. Everything here is a convenience: each page is whole, and each decision possible, without it.
"use strict";

(() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const one = (selector) => document.querySelector(selector);
  const review = one(".review");
  const stops = () => {
    const rows = all("[data-row]");
    return rows.length || !review ? rows : all("#top, .first, main > section");
  };

  // Rows and sections

  let at = -1;
  const go = (step) => {
    const found = stops();
    if (!found.length) return;
    if (at >= 0 && found[at]) found[at].classList.remove("here");
    at = Math.max(0, Math.min(found.length - 1, at + step));
    const here = found[at];
    if (!here.hasAttribute("data-row")) here.setAttribute("data-section", "");
    here.classList.add("here");
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches || here.hasAttribute("data-row");
    here.scrollIntoView({ block: here.hasAttribute("data-row") ? "nearest" : "start", behavior: still ? "auto" : "smooth" });
    const target = here.matches("a") ? here : here.querySelector("a");
    if (target && here.hasAttribute("data-row")) target.focus({ preventScroll: true });
  };
  const open = () => {
    const here = stops()[at];
    const target = here && (here.matches("a") ? here : here.querySelector("a"));
    if (target && here.hasAttribute("data-row")) target.click();
  };

  // Decisions

  const choose = (word) => {
    const input = document.getElementById("choose-" + word);
    if (!input) return;
    if (input.disabled) {
      input.closest("div").scrollIntoView({ block: "nearest" });
      tell(document.getElementById("why-" + word)?.textContent ?? "", "");
      return;
    }
    input.checked = true;
    document.getElementById("reason").focus();
  };
  const waive = () => {
    const part = document.getElementById("waive");
    if (!part) return;
    part.open = true;
    document.getElementById("code").focus();
  };

  // Keys

  const dialog = document.getElementById("keys");
  const places = { q: "/queue", p: "/production", l: "/log" };
  let leader = 0;
  const keys = {
    j: () => go(1),
    k: () => go(-1),
    o: open,
    a: () => choose("approve"),
    r: () => choose("reject"),
    w: waive,
    d: () => { if (document.getElementById("since")) location.hash = "since"; },
    g: () => { leader = Date.now(); },
    "/": () => { const field = document.getElementById("q"); field?.focus(); field?.select(); },
    "?": () => dialog.showModal(),
  };
  const isField = (element) => element.matches("input:not([type=radio]), textarea, select");
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target.form) {
      event.preventDefault();
      event.target.form.requestSubmit();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (event.key === "Escape" && isField(event.target)) {
      event.target.blur();
      return;
    }
    if (isField(event.target) || dialog.open) return;
    if (Date.now() - leader < 1500 && places[event.key]) {
      event.preventDefault();
      location.href = places[event.key];
      return;
    }
    const act = Object.hasOwn(keys, event.key) ? keys[event.key] : null;
    if (act) {
      event.preventDefault();
      act();
    }
  });
  document.getElementById("help-link")?.addEventListener("click", (event) => {
    event.preventDefault();
    dialog.showModal();
  });

  // News: what changed since this page was made

  const news = document.getElementById("news");
  const tell = (words, link) => {
    if (!words) return;
    news.textContent = words + " ";
    if (link) {
      const again = document.createElement("a");
      again.href = location.pathname + location.search;
      again.textContent = link;
      news.append(again);
    }
    news.hidden = false;
  };
  const live = one("[data-live]");
  if (!live || !document.querySelector(".user")) return;
  const item = live.dataset.live;
  let seen = 0;
  const heard = (event) => {
    const change = JSON.parse(event.data);
    if (item === "queue" || item === "log" || item === "production") {
      seen += 1;
      tell(seen === 1 ? "One change since this page was made." : seen + " changes since this page was made.", "Show");
    } else if (change.item === item && change.data.version > Number(live.dataset.version ?? Infinity)) {
      tell("Somebody has decided on this release: it is " + change.data.status + ".", "Look again");
    } else if (live.dataset.version === undefined && change.item.split("@")[0] === item) {
      tell("Something about this node has changed.", "Look again");
    }
  };
  let stream = null;
  let wasOpen = false;
  const listen = () => {
    if (document.hidden) {
      stream?.close();
      stream = null;
    } else if (!stream) {
      stream = new EventSource("/api/v1/events/stream");
      for (const kind of ["publish", "decision", "waive"]) stream.addEventListener(kind, heard);
      if (wasOpen) tell("This page was in the background: there may be changes.", "Show");
      wasOpen = true;
    }
  };
  document.addEventListener("visibilitychange", listen);
  addEventListener("pagehide", () => { stream?.close(); stream = null; });
  listen();
})();
