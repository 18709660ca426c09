// Elements are made from texts, never from markup: what programs call their tasks is shown and not obeyed.

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

export const number = (value) => new Intl.NumberFormat("en", { maximumFractionDigits: 2 }).format(value);

export function bytes(value) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024;
  return `${value >= 100 || unit === 0 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

export function time(ms) {
  return ms ? new Date(ms).toLocaleString() : "–";
}

const GOOD = ["ALIVE", "FINISHED", "CREATED", "SUCCEEDED", "true"];
const BAD = ["DEAD", "FAILED", "REMOVED", "false"];

export function state(value) {
  const text = String(value);
  const kind = GOOD.includes(text) ? "good" : BAD.includes(text) ? "bad" : "busy";
  return make("span", { class: `state ${kind}` }, text.replaceAll("_", " ").toLowerCase());
}

// A line of the values, the newest on the right.
export function spark(values, label) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("class", "spark");
  svg.setAttribute("viewBox", "0 0 100 20");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", label);
  const path = document.createElementNS(space, "path");
  const top = Math.max(1e-9, ...values);
  const points = values.map((value, i) => `${(100 * i) / Math.max(1, values.length - 1)} ${19 - (18 * value) / top}`);
  if (points.length > 1) path.setAttribute("d", `M${points.join("L")}`);
  svg.append(path);
  return svg;
}

export async function ask(path, options) {
  const answer = await fetch(path, options);
  if (!answer.ok) throw new Error((await answer.text()).trim() || answer.statusText);
  return answer;
}

export const askJson = async (path, options) => (await ask(path, options)).json();
