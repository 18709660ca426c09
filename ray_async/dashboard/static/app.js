import { make } from "./dom.js";
import { jobsPage } from "./jobs.js";
import { logsPage } from "./logs.js";
import { overview, remember } from "./overview.js";
import { groups, KINDS, tablePage } from "./tables.js";

const content = document.getElementById("content");
const link = document.getElementById("link");
const PAGES = {
  overview: ["Overview", (view) => whenever((figures) => view.replaceChildren(...overview(figures)))],
  functions: ["Functions", (view) => whenever((figures) => view.replaceChildren(make("h2", {}, "Tasks by function"), ...groups(figures)))],
  ...Object.fromEntries(Object.entries(KINDS).map(([kind, { title }]) => [kind, [title, (view) => tablePage(kind, view)]])),
  jobs: ["Jobs", jobsPage],
  logs: ["Logs", logsPage],
};
let figures = null;
let refresh = null; // asks again for what the page shows

function whenever(draw) {
  const now = () => figures && draw(figures);
  now();
  return now;
}

function show() {
  const name = location.hash.slice(1) in PAGES ? location.hash.slice(1) : "overview";
  document.title = `${PAGES[name][0]} · ray_async`;
  for (const anchor of document.querySelectorAll("nav a")) {
    if (anchor.hash === `#${name}`) {
      anchor.setAttribute("aria-current", "page");
      anchor.scrollIntoView({ block: "nearest", inline: "center" });
    } else anchor.removeAttribute("aria-current");
  }
  content.replaceChildren();
  refresh = PAGES[name][1](content);
}

function state(name, text) {
  link.dataset.state = name;
  link.textContent = text;
}

document.getElementById("pages").append(...Object.entries(PAGES).map(([name, [title]]) => make("a", { href: `#${name}` }, title)));
addEventListener("hashchange", () => { show(); content.focus(); });
show();

const events = new EventSource("/api/events");
let busy = false;
events.onmessage = async ({ data }) => {
  figures = JSON.parse(data);
  document.getElementById("address").textContent = figures.address;
  state("live", "live");
  remember(figures);
  // What takes longer than a tick is asked for once, and a page in the background asks for nothing.
  if (busy || document.hidden) return;
  busy = true;
  try { await refresh?.(); } catch (error) { state("lost", error.message); } finally { busy = false; }
};
events.onerror = () => state("lost", "connection lost");
