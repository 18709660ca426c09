import { ask, askJson, bytes, make } from "./dom.js";

const KEPT = 1 << 20; // letters that are shown

export function logsPage(view) {
  const list = make("ul");
  const text = make("pre", { tabindex: 0, "aria-label": "Log" }, "Choose a log.");
  const search = make("input", { type: "search", placeholder: "only lines with", "aria-label": "Only lines with", oninput: show });
  const follow = make("input", { type: "checkbox", id: "follow", checked: true });
  let name = null;
  let end = null;
  let content = "";

  async function files() {
    const { files } = await askJson("/api/v0/logs");
    list.replaceChildren(...files.map((file) => make("li", {}, make("button", { "aria-pressed": String(file.name === name),
      onclick: () => choose(file.name) }, `${file.name} `, make("span", { class: "note" }, bytes(file.size))))));
  }

  async function choose(chosen) {
    [name, end, content] = [chosen, null, ""];
    await refresh();
  }

  async function refresh() {
    await files();
    if (!name || !follow.checked) return;
    const asked = name;
    const answer = await ask(`/api/v0/logs/file?${new URLSearchParams({ filename: name, ...(end === null ? {} : { offset: end }) })}`);
    const part = await answer.text();
    if (asked !== name) return;
    end = Number(answer.headers.get("X-Log-End"));
    content = (content + part).slice(-KEPT);
    if (part || !content) show();
  }

  function show() {
    const wanted = search.value.toLowerCase();
    const lines = wanted ? content.split("\n").filter((line) => line.toLowerCase().includes(wanted)).join("\n") : content;
    const atEnd = text.scrollTop + text.clientHeight >= text.scrollHeight - 8;
    text.textContent = lines || (content ? "No line has that." : "Nothing is in it.");
    if (atEnd) text.scrollTop = text.scrollHeight;
  }

  view.replaceChildren(make("h2", {}, "Logs"),
    make("div", { class: "tools" }, search, make("label", { for: "follow" }, follow, " follow")),
    make("div", { class: "logs" }, list, text));
  refresh();
  return refresh;
}
