import { ask, askJson, bytes, make, number, state, time } from "./dom.js";

const PAGE = 100;
const NUMBERS = ["pid", "worker_pid", "num_restarts", "attempt_number", "object_size", "reference_count"];

// Columns of each kind's table: field, heading, and how it is shown. The first one opens the details.
const plain = (value) => (value === null || value === undefined || value === "" ? "–" : typeof value === "object" ? JSON.stringify(value) : String(value));
const words = (value) => String(value).replaceAll("_", " ").toLowerCase();
const last = (value) => (value ? String(value).trim().split("\n").at(-1) : "–");

export const KINDS = {
  nodes: { title: "Nodes", states: ["ALIVE", "DEAD"], columns: [["node_id", "node"], ["state", "state", state], ["node_name", "name"],
    ["resources_total", "resources", (all) => Object.entries(all).filter(([n]) => n === "CPU" || n === "GPU").map(([n, v]) => `${number(v)} ${n}`).join(", ")],
    ["start_time_ms", "since", time], ["state_message", "why"]] },
  workers: { title: "Workers", field: "is_alive", states: ["true", "false"], columns: [["worker_id", "worker"], ["is_alive", "alive", state],
    ["pid", "process"], ["exit_type", "end"], ["exit_detail", "detail"], ["start_time_ms", "since", time]] },
  actors: { title: "Actors", states: ["ALIVE", "PENDING_CREATION", "RESTARTING", "DEPENDENCIES_UNREADY", "DEAD"], columns: [["actor_id", "actor"],
    ["class_name", "class"], ["state", "state", state], ["name", "name"], ["pid", "process"], ["num_restarts", "restarts"],
    ["restart_verdict", "restart"], ["death_cause", "cause of death", last]] },
  tasks: { title: "Tasks", states: ["RUNNING", "PENDING_NODE_ASSIGNMENT", "PENDING_ARGS_AVAIL", "FINISHED", "FAILED"], columns: [["task_id", "task"],
    ["name", "name"], ["state", "state", state], ["type", "type", words], ["attempt_number", "attempt"], ["worker_pid", "process"], ["error_message", "error", last]] },
  objects: { title: "Objects", columns: [["object_id", "object"], ["object_size", "size", bytes], ["reference_count", "references"], ["task_status", "task", state]] },
  placement_groups: { title: "Placement groups", states: ["CREATED", "PENDING", "REMOVED"], columns: [["placement_group_id", "group"], ["name", "name"],
    ["state", "state", state], ["strategy", "strategy"], ["bundles", "bundles"]] },
};

function cell(row, [field, , show], open) {
  const value = row[field];
  if (open) {
    return make("td", { class: "id" }, make("button", { onclick: open, title: plain(value) }, plain(value).replace(/0+$/, "").slice(0, 20) || "0"));
  }
  const shown = value === null || value === undefined ? "–" : show ? show(value) : plain(value);
  const wide = typeof shown === "string" && shown.length > 60;
  return make("td", { class: wide ? "wide" : NUMBERS.includes(field) ? "number" : false }, shown);
}

export function details(title, row, more = []) {
  const dialog = make("dialog", { "aria-label": title, onclose: () => dialog.remove() },
    make("h2", {}, title),
    make("dl", {}, ...Object.entries(row).flatMap(([key, value]) => [make("dt", {}, key),
      make("dd", {}, key.endsWith("_time_ms") ? time(value) : String(value).includes("\n") ? make("pre", {}, String(value)) : plain(value))])),
    ...more, make("p", {}, make("button", { onclick: () => dialog.close(), autofocus: true }, "Close")));
  document.body.append(dialog);
  dialog.showModal();
}

// What a worker's threads are doing, asked for when somebody wants to see it.
function stacks(row) {
  if (!row.pid || row.is_alive === false || row.state === "DEAD") return [];
  const text = make("pre", { hidden: true });
  const show = async () => {
    text.hidden = false;
    try {
      text.textContent = await (await ask(`/worker/traceback?pid=${row.pid}`)).text();
    } catch (error) {
      text.textContent = error.message;
    }
  };
  return [make("p", {}, make("button", { onclick: show }, "Show its stacks")), text];
}

// A page of a table: it is asked for again at each tick while it is shown.
export function tablePage(kind, view) {
  const { title, states, field = "state", columns } = KINDS[kind];
  const wanted = { state: "", text: "", offset: 0 };
  const body = make("tbody");
  const place = make("span", { class: "note", role: "status" });
  const previous = make("button", { onclick: () => turn(-PAGE) }, "Newer");
  const next = make("button", { onclick: () => turn(PAGE) }, "More");
  const names = columns.filter(([name]) => !name.endsWith("_ms") && name !== "resources_total");
  const choice = make("select", { "aria-label": "Field", onchange: change }, ...names.map(([name, head]) => make("option", { value: name }, head)));
  const search = make("input", { type: "search", placeholder: "exactly this value", "aria-label": "Value of the field", onchange: change });
  if (names.some(([name]) => name === "name")) choice.value = "name";
  const filter = states && make("select", { "aria-label": "State", onchange: change }, make("option", { value: "" }, "all states"),
    ...states.map((one) => make("option", { value: one }, one.replaceAll("_", " ").toLowerCase())));

  function change() { wanted.offset = 0; refresh(); }
  function turn(by) { wanted.offset = Math.max(0, wanted.offset + by); refresh(); }

  async function refresh() {
    const query = new URLSearchParams({ limit: PAGE, offset: wanted.offset });
    const add = (key, value) => { query.append("filter_keys", key); query.append("filter_predicates", "="); query.append("filter_values", value); };
    if (filter?.value) add(field, filter.value);
    if (search.value) add(choice.value, search.value);
    try {
      const { result, more, key } = (await askJson(`/api/v0/${kind}?${query}`)).data;
      body.replaceChildren(...result.map((row) => make("tr", {}, ...columns.map((column, i) =>
        cell(row, column, i === 0 && (() => details(`${title}: ${row.name || row.class_name || row[key].slice(0, 16)}`, row, stacks(row))))))));
      place.textContent = result.length ? `${wanted.offset + 1} to ${wanted.offset + result.length}` : "none";
      previous.disabled = wanted.offset === 0;
      next.disabled = !more;
      place.classList.remove("error");
    } catch (error) {
      place.textContent = error.message;
      place.classList.add("error");
    }
  }

  view.replaceChildren(make("h2", {}, title),
    make("div", { class: "tools" }, filter, choice, search, previous, next, place),
    make("div", { class: "scroll" }, make("table", {}, make("thead", {}, make("tr", {}, ...columns.map(([name, head]) => make("th", { class: NUMBERS.includes(name) ? "number" : false }, head)))), body)));
  refresh();
  return refresh;
}

// Tasks by function, with how many there are in each state.
export function groups(figures) {
  const rows = Object.entries(figures.tasks).sort((a, b) => total(b[1]) - total(a[1])).slice(0, 200);
  const states = [...new Set(rows.flatMap(([, counts]) => Object.keys(counts)))].sort();
  const head = ["function", ...states.map((one) => one.replaceAll("_", " ").toLowerCase())];
  return [make("div", { class: "scroll" }, make("table", {},
    make("thead", {}, make("tr", {}, ...head.map((one, i) => make("th", { class: i ? "number" : false }, one)))),
    make("tbody", {}, ...rows.map(([name, counts]) => make("tr", {}, make("td", {}, name),
      ...states.map((one) => make("td", { class: "number" }, number(counts[one] ?? 0))))))))];
}

const total = (counts) => Object.values(counts).reduce((a, b) => a + b, 0);
