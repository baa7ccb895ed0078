// Keeps a page up to date: asks for the same page again and exchanges the parts that changed; makes countdowns tick.
"use strict";

const root = document.documentElement;
let ahead = 0; // how far the server's clock is ahead of this one [ms]
let since = null; // when the server last answered, once it does not
const MINUTE = 60, HOUR = 3600;

function now() {
  return Date.now() + ahead;
}

function span(seconds, fine) {
  if (seconds < MINUTE) return fine ? `${Math.floor(seconds)} s` : "less than a minute";
  if (seconds < 10 * MINUTE) {
    const rest = Math.floor(seconds % MINUTE);
    const minutes = `${Math.floor(seconds / MINUTE)} min`;
    return fine ? `${minutes} ${String(rest).padStart(2, "0")} s` : minutes;
  }
  const minutes = Math.floor(seconds / MINUTE);
  if (minutes < 60) return `${minutes} min`;
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
  const hours = Math.round(seconds / HOUR);
  return hours % 24 ? `${Math.floor(hours / 24)} d ${hours % 24} h` : `${Math.floor(hours / 24)} d`;
}

function counted(kind, moment, calm) {
  const seconds = (moment - now()) / 1000;
  const text = span(Math.abs(seconds), !calm && kind !== "towards");
  if (kind === "left") return seconds > 0 ? text : "none";
  if (seconds > 0) return `in ${text}`;
  return kind === "expected" ? `overdue by ${text}` : `${text} ago`;
}

function tick() {
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  for (const each of document.querySelectorAll("time[data-counting]")) {
    const text = counted(each.dataset.counting, Date.parse(each.dateTime), calm);
    if (each.textContent !== text) each.textContent = text;
  }
  const clock = document.getElementById("clock");
  const text = `${new Date(now()).toISOString().slice(0, 16).replace("T", " ")} UTC`;
  if (clock.textContent !== text) clock.textContent = text;
}

// The place of the element that has the focus, as its part and its address within it, to find it again.
function focused(part) {
  const at = document.activeElement;
  if (!part.contains(at)) return null;
  const same = (within) => [...within.querySelectorAll("a, summary, [tabindex]")];
  const place = same(part).indexOf(at);
  return (fresh) => same(fresh)[place]?.focus({ preventScroll: true });
}

function exchange(part, fresh) {
  for (const open of part.querySelectorAll("details[open][id]")) {
    fresh.querySelector(`#${CSS.escape(open.id)}`)?.setAttribute("open", "");
  }
  const refocus = focused(part);
  part.replaceWith(fresh);
  refocus?.(fresh);
}

const shown = new Map(); // what the server last sent for each part

function take(text) {
  const page = new DOMParser().parseFromString(text, "text/html");
  for (const fresh of page.querySelectorAll("[data-part]")) {
    const part = document.getElementById(fresh.id);
    const html = fresh.outerHTML;
    if (part && shown.get(fresh.id) !== html) exchange(part, document.adoptNode(fresh));
    shown.set(fresh.id, html);
  }
  const told = document.getElementById("told"), news = page.getElementById("told");
  if (told && news && told.textContent !== news.textContent) told.textContent = news.textContent;
  if (document.title !== page.title) document.title = page.title;
  document.body.dataset.live = page.body.dataset.live ?? "";
}

async function ask() {
  const stale = document.getElementById("stale");
  try {
    const answer = await fetch(location.href, { cache: "no-cache", signal: AbortSignal.timeout(10000) });
    if (!answer.ok) throw new Error(String(answer.status));
    const date = Date.parse(answer.headers.get("Date"));
    if (date) ahead = Math.abs(date - Date.now()) > 2000 ? date - Date.now() : 0;
    take(await answer.text());
    since = null;
    stale.hidden = true;
  } catch {
    since ??= new Date(now()).toISOString().slice(11, 16);
    const text = `No answer from the server since ${since} UTC. What is shown may be out of date.`;
    if (stale.textContent !== text) stale.textContent = text;
    stale.hidden = false;
  }
  tick();
}

// One question at a time; none while nobody looks, and at once when somebody does again.
async function live() {
  const seconds = Number(document.body.dataset.live);
  if (!seconds) return;
  if (!document.hidden) await ask();
  setTimeout(live, seconds * 1000);
}

function themes() {
  const button = document.getElementById("theme");
  const order = ["automatic", "light", "dark"];
  const say = () => { button.querySelector("span").textContent = root.dataset.theme ?? order[0]; };
  button.addEventListener("click", () => {
    const next = order[(order.indexOf(root.dataset.theme ?? order[0]) + 1) % order.length];
    if (next === order[0]) delete root.dataset.theme;
    else root.dataset.theme = next;
    try { localStorage.setItem("theme", next); } catch { /* this device keeps nothing: the choice lasts for the page */ }
    say();
  });
  button.hidden = false;
  say();
}

themes();
for (const part of document.querySelectorAll("[data-part]")) shown.set(part.id, part.outerHTML);
setTimeout(live, 1000 * Number(document.body.dataset.live));
document.addEventListener("visibilitychange", () => { if (!document.hidden && document.body.dataset.live) ask(); });
if (document.querySelector("time[data-counting], #clock")) setInterval(tick, 1000);
