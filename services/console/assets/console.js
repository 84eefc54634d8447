// What the pages do beyond links and forms: times in the reader's zone, keys, and parts that follow the log.
"use strict";
(() => {
  const shown = new Intl.DateTimeFormat(undefined, {
    year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });
  const exact = new Intl.DateTimeFormat(undefined, {
    dateStyle: "full", timeStyle: "long" });

  const span = (seconds) => { // as services.console.web.shell.span
    seconds = Math.max(0, seconds);
    if (seconds < 10) return `${seconds.toFixed(1)} s`;
    if (seconds < 90) return `${seconds.toFixed(0)} s`;
    const minutes = Math.floor(seconds / 60);
    if (minutes < 90) return `${minutes} min`;
    const hours = Math.floor(minutes / 60);
    if (hours < 48) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
    const days = Math.floor(hours / 24);
    return hours % 24 && days < 10 ? `${days} d ${hours % 24} h` : `${days.toLocaleString("en")} d`;
  };
  const localise = (root) => {
    for (const time of root.querySelectorAll("time[datetime]")) {
      const at = new Date(time.dateTime);
      if (isNaN(at)) continue;
      time.title = exact.format(at);
      time.textContent = time.classList.contains("ago") ? span((Date.now() + drift - at) / 1000) : shown.format(at);
    }
  };

  // The strip: how old what is shown may be. The server's clock counts.
  let drift = 0;
  const loaded = Date.now();
  const strip = () => document.getElementById("strip");
  const tell = () => {
    const here = strip();
    if (!here) return;
    const said = here.querySelector("[data-said]");
    if (here.dataset.asOf) {
      const old = (Date.now() + drift - new Date(here.dataset.asOf)) / 1000;
      const behind = Number(here.dataset.behind || 0);
      const text = `as of ${span(old)} ago` + (behind ? `, ${behind.toLocaleString("en")} events behind` : "");
      if (said.textContent !== text) said.textContent = text;
      here.toggleAttribute("data-late", old > 10);
    }
  };
  const stand = (told) => {
    const here = strip();
    if (!here) return;
    drift = new Date(told.now) - Date.now();
    // What does not follow the log, or waits for somebody to have done with it, gets older.
    const parts = [...document.querySelectorAll("[data-live]")];
    if (parts.length && !parts.some((part) => part.dataset.stale)) {
      const counted = parts.map((part) => part.dataset.asOf).filter(Boolean);
      const oldest = [told.as_of, ...counted].filter(Boolean).sort((a, b) => new Date(a) - new Date(b))[0];
      if (oldest) here.dataset.asOf = oldest;
      here.dataset.behind = told.behind ?? 0;
    }
    tell();
  };

  // Parts that follow: <div data-live="any | stock | order:ID" data-live-seconds="2" hx-get=… hx-trigger="live">.
  // Whoever types there, or goes through it by keys, is not to lose their place, nor what they have typed.
  const fields = "textarea, input:not([type=hidden], [type=range], [type=checkbox], [type=radio])";
  const inUse = (part) => part.querySelector(":focus-visible") ||
    [...part.querySelectorAll(fields)].some((field) => field.value !== field.defaultValue);
  const due = new Set(), lived = new Map(); // by id: each answer is another element
  const refresh = ({ id, dataset }) => {
    if (due.has(id)) return;
    const pause = 1000 * Number(dataset.liveSeconds || 0.2);
    due.add(id);
    setTimeout(() => {
      due.delete(id);
      const part = document.getElementById(id);
      if (!part) return;
      if (document.hidden || inUse(part)) { part.dataset.stale = "1"; return; }
      // The answer that is under way may be of before, and takes its element with it.
      if (part.classList.contains("htmx-request")) { setTimeout(() => refresh(part), 100); return; }
      lived.set(id, Date.now());
      htmx.trigger(part, "live");
    }, Math.max(0, (lived.get(id) || 0) + pause - Date.now()));
  };
  const concerns = (part, change) => {
    const what = part.dataset.live;
    if (what === "any" || change.all) return true;
    if (what === "stock") return change.stock;
    return what.startsWith("order:") && (change.orders === null || change.orders.includes(what.slice(6)));
  };
  const follow = () => {
    if (!document.body.dataset.stream) return;
    const stream = new EventSource(document.body.dataset.stream);
    stream.addEventListener("stand", (event) => stand(JSON.parse(event.data)));
    stream.addEventListener("changed", (event) => {
      const change = JSON.parse(event.data);
      for (const part of document.querySelectorAll("[data-live]")) if (concerns(part, change)) refresh(part);
    });
    // A browser that was refused does not come again by itself; one that was cut off does, with the last id.
    stream.onerror = () => { if (stream.readyState === EventSource.CLOSED) setTimeout(follow, 5000); };
    addEventListener("pagehide", () => stream.close(), { once: true });
  };
  const catchUp = () => setTimeout(() => {
    if (!document.hidden) for (const part of document.querySelectorAll("[data-stale]")) {
      delete part.dataset.stale; refresh(part); }
  });
  document.addEventListener("visibilitychange", catchUp);
  document.addEventListener("focusout", catchUp);

  // A part that could not be had is asked for again.
  for (const failed of ["htmx:sendError", "htmx:responseError", "htmx:timeout"])
    document.addEventListener(failed, (event) => {
      const part = event.detail.elt;
      if (part.dataset.live) setTimeout(() => refresh(part), 2000);
    });

  // What a reader has opened stays open.
  let opened = [];
  document.addEventListener("htmx:beforeSwap", (event) => {
    const part = event.detail.target, asked = event.detail.requestConfig;
    const slider = asked?.elt.matches(".slider") && asked.elt.elements.step;
    if (slider) { // somebody who goes on through time meanwhile gets what they come to
      if (slider.value !== String(asked.parameters.step)) event.detail.shouldSwap = false;
    } else if (part.dataset.live && inUse(part)) { // since it was asked for
      event.detail.shouldSwap = false;
      part.dataset.stale = "1";
      return;
    }
    opened = [...part.querySelectorAll("details[open][id]")].map((one) => one.id);
  });
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

  // Keys: / searches, ? tells, g and a letter goes to a page.
  let going = 0;
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, textarea, select, [contenteditable]");
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/") {
      const search = document.getElementById("q");
      if (search) { event.preventDefault(); search.focus(); search.select(); }
    } else if (event.key === "?") {
      const keys = document.getElementById("keys");
      if (keys) keys.open ? keys.close() : keys.showModal();
    } else if (event.key === "g") {
      going = Date.now();
    } else if (Date.now() - going < 1500) {
      going = 0;
      document.querySelector(`a[data-key="${CSS.escape(event.key)}"]`)?.click();
    }
  });
  document.addEventListener("click", (event) => {
    const opens = event.target.closest("[data-opens]");
    if (opens) document.getElementById(opens.dataset.opens)?.showModal();
  });

  // Who chooses with a mouse or a finger sees at once what comes of it; by keys a choice is passed through on the
  // way to another, so there it is Enter or the form's button.
  let pointed = null;
  document.addEventListener("pointerdown", (event) => { pointed = event.target; }, true);
  document.addEventListener("keydown", (event) => {
    pointed = null;
    if (event.key === "Enter" && event.target.matches("[data-submits][data-chosen]")) {
      event.preventDefault();
      event.target.form.requestSubmit();
    }
  }, true);
  document.addEventListener("change", (event) => {
    const field = event.target;
    if (!field.matches("[data-submits]")) return;
    if (pointed && (field === pointed || field.contains(pointed))) field.form.requestSubmit();
    else field.dataset.chosen = "1";
  });

  document.addEventListener("htmx:afterSwap", () => {
    for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
    localise(document);
  });
  document.addEventListener("htmx:configRequest", (event) => {
    event.detail.headers["X-CSRF"] = document.body.dataset.csrf || "";
  });
  document.addEventListener("DOMContentLoaded", () => {
    const here = strip();
    if (here?.dataset.now) drift = new Date(here.dataset.now) - Date.now();
    localise(document);
    tell();
    setInterval(tell, 1000);
    setInterval(() => { for (const time of document.querySelectorAll("time.ago[datetime]"))
      time.textContent = span((Date.now() + drift - new Date(time.dateTime)) / 1000); }, 10000);
    setInterval(() => { for (const part of document.querySelectorAll("[data-live-every]"))
      if (Date.now() - (lived.get(part.id) || loaded) > 1000 * part.dataset.liveEvery) refresh(part); }, 1000);
    follow();
  });
})();
