import { ask, askJson, make, state, time } from "./dom.js";
import { details } from "./tables.js";

const ENDED = ["SUCCEEDED", "FAILED", "STOPPED"];

export function jobsPage(view) {
  const body = make("tbody");
  const note = make("p", { class: "note", role: "status" });

  async function act(path, method) {
    try {
      await ask(path, { method });
    } catch (error) {
      note.textContent = error.message;
    }
    await refresh();
  }

  async function show(job) {
    const path = `/api/jobs/${encodeURIComponent(job.submission_id)}`;
    const { logs } = await askJson(`${path}/logs`);
    details(`Job ${job.submission_id}`, job, [make("h3", {}, "Output"), make("pre", {}, logs || "Nothing yet.")]);
  }

  function row(job) {
    const path = `/api/jobs/${encodeURIComponent(job.submission_id)}`;
    const button = ENDED.includes(job.status)
      ? make("button", { onclick: () => act(path, "DELETE") }, "Forget")
      : make("button", { onclick: () => act(`${path}/stop`, "POST") }, "Stop");
    return make("tr", {}, make("td", { class: "id" }, make("button", { onclick: () => show(job) }, job.submission_id)),
      make("td", {}, state(job.status)), make("td", {}, job.entrypoint), make("td", {}, time(job.start_time)),
      make("td", {}, time(job.end_time)), make("td", {}, button));
  }

  async function refresh() {
    const jobs = await askJson("/api/jobs/");
    note.textContent = jobs.length ? "" : "None yet: `ray_async job submit -- python program.py` submits one.";
    body.replaceChildren(...jobs.map(row));
  }

  view.replaceChildren(make("h2", {}, "Jobs"), note, make("div", { class: "scroll" }, make("table", {},
    make("thead", {}, make("tr", {}, ...["job", "status", "command", "begun", "ended", ""].map((head) => make("th", {}, head)))), body)));
  refresh();
  return refresh;
}
