// Elements without markup in strings: the content-security policy allows none.

export const byId = (id) => document.getElementById(id);

/** An element with properties (`class`, `data`, `on`, attributes) and children. */
export function make(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "class") node.className = value;
    else if (name === "data") Object.assign(node.dataset, value);
    else if (name === "on") for (const [event, act] of Object.entries(value)) node.addEventListener(event, act);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children);
  return node;
}

/** The same in SVG. */
export function draw(tag, attributes = {}) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

/** Sets text only where it changes, so that a screen reader hears each sentence once. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** A variable of the style sheet, such as `--ink`. */
export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export const percent = (share, digits = 1) => `${(share * 100).toFixed(digits)} %`;
