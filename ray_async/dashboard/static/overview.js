import { bytes, make, number, spark } from "./dom.js";

const history = []; // the figures of the last two minutes, while the page is open
const LENGTH = 120;

export function remember(figures) {
  history.push({ running: count(figures.tasks, "RUNNING"), waiting: waiting(figures), used: figures.store.used });
  if (history.length > LENGTH) history.shift();
}

const count = (groups, ...states) =>
  Object.values(groups).reduce((sum, counts) => sum + states.reduce((n, state) => n + (counts[state] ?? 0), 0), 0);

const waiting = (figures) =>
  Object.values(figures.tasks).reduce(
    (sum, counts) => sum + Object.entries(counts).reduce((n, [s, c]) => n + (s.startsWith("PENDING") ? c : 0), 0), 0);

function card(title, figure, note, values) {
  return make("section", { class: "card" }, make("h3", {}, title), make("p", { class: "figure" }, figure),
    make("p", { class: "note" }, note), values ? spark(values, `${title}, the last two minutes`) : null);
}

function meter(name, used, total, show) {
  return make("div", { class: "meter" }, make("span", {}, name), make("span", {}, `${show(used)} of ${show(total)}`),
    make("progress", { max: total || 1, value: used, "aria-label": name }));
}

function resources(figures) {
  const shown = Object.entries(figures.total).filter(([name]) => !name.startsWith("node:") && !name.startsWith("bundle"));
  return make("section", { class: "card" }, make("h3", {}, "Resources in use"),
    ...shown.sort().map(([name, total]) => meter(name, total - (figures.available[name] ?? 0), total,
      name.includes("memory") ? bytes : number)));
}

function demands(figures) {
  const rows = figures.waiting.map(({ resources, count }) => make("tr", {},
    make("td", {}, Object.entries(resources).map(([name, n]) => `${number(n)} ${name}`).join(", ") || "nothing"),
    make("td", { class: "number" }, number(count))));
  return make("section", { class: "card" }, make("h3", {}, "Waiting for resources"),
    rows.length ? make("table", {}, make("thead", {}, make("tr", {}, make("th", {}, "wants"),
      make("th", { class: "number" }, "how many"))), make("tbody", {}, ...rows)) : make("p", { class: "note" }, "Nothing waits."));
}

export function overview(figures) {
  const actors = count(figures.actors, "ALIVE");
  return [
    make("h2", {}, "Overview"),
    make("div", { class: "cards" },
      card("Tasks that run", number(count(figures.tasks, "RUNNING")),
        `${number(count(figures.tasks, "FAILED"))} failed are listed`, history.map((one) => one.running)),
      card("Tasks that wait", number(waiting(figures)), "for arguments, or for a worker", history.map((one) => one.waiting)),
      card("Actors alive", number(actors), `${number(count(figures.actors, "DEAD"))} dead are listed`),
      card("Objects", number(figures.objects.total_objects), `${bytes(figures.store.used)} of ${bytes(figures.store.limit)}, ${bytes(figures.store.spilled)} spilled`,
        history.map((one) => one.used))),
    make("div", { class: "cards" }, resources(figures), demands(figures)),
  ];
}
