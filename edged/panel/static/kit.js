// Small helpers: requests, elements, messages.

export class Refused extends Error {
  constructor(status, text) { super(text); this.status = status; }
}

async function checked(response) {
  if (response.ok) return response;
  let text = `the device answered ${response.status}`;
  try { text = (await response.json()).error ?? text; } catch { /* no JSON: the number says enough */ }
  throw new Refused(response.status, text);
}

export async function get(path, kind = "json") {
  const response = await checked(await fetch(path, { signal: AbortSignal.timeout(20000) }));
  return kind === "json" ? response.json() : response;
}

export async function post(path, body) {
  const options = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body), signal: AbortSignal.timeout(60000) };
  return (await checked(await fetch(path, options))).json();
}

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children.filter(child => child != null && child !== ""));
  return node;
}

export const el = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
export const svg = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);
export const show = (node, yes) => { node.hidden = !yes; };
export const when = ms => new Promise(done => setTimeout(done, ms));

let hiding = 0;
export function say(what) {
  const node = document.getElementById("message");
  node.textContent = what instanceof Error ? what.message : what;
  node.hidden = false;
  clearTimeout(hiding);
  hiding = setTimeout(() => { node.hidden = true; }, 6000);
}
