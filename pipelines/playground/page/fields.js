// A form for any contract: numbers, words, short arrays of numbers; what is larger comes from real rows.

import { byId, make } from "./dom.js";

export class Fields {
  constructor(inputs, changed) {
    this.box = byId("fields");
    this.box.hidden = false;
    this.changed = changed;
    this.editors = Object.fromEntries(inputs.map((spec) => [spec.name, this.editor(spec)]));
    this.box.append(...Object.values(this.editors).map((editor) => editor.node));
  }

  /** Shows a row; null stands for a missing value. */
  show(row) {
    for (const [name, value] of Object.entries(row)) this.editors[name].set(value);
  }

  /** The row as the form has it now; undefined where a field cannot be read yet. */
  row() {
    const row = {};
    for (const [name, editor] of Object.entries(this.editors)) {
      row[name] = editor.get();
      if (row[name] === undefined) return undefined;
    }
    return row;
  }

  editor(spec) {
    const kinds = { number: numberEditor, word: wordEditor, numbers: numbersEditor };
    return (kinds[spec.editor] ?? fixedEditor)(spec, this.changed);
  }
}

function frame(spec, id, ...children) {
  const name = spec.name.replaceAll("_", " ");
  const meaning = spec.meaning && spec.meaning !== name ? make("span", { class: "meaning" }, spec.meaning) : "";
  return make("div", { class: "field" }, make("label", { for: id }, name, " ", meaning), ...children);
}

/** The switch that says that a value is missing; null for inputs that may not miss. */
function missingSwitch(spec, toggled) {
  if (!spec.missing) return null;
  const box = make("input", { type: "checkbox", "aria-label": `${spec.name} is missing`, on: { change: toggled } });
  return { box, node: make("label", { class: "missing" }, box, "missing") };
}

function numberEditor(spec, changed) {
  const id = `field-${spec.name}`;
  const whole = spec.dtype.includes("int");
  const bounded = spec.low !== null && spec.high !== null;
  const step = whole || (bounded && spec.high - spec.low >= 20) ? 1 : 0.01;
  const number = make("input", { type: "number", id, step: whole ? 1 : "any", inputmode: "decimal", required: true });
  const range = bounded && make("input", {
    type: "range", min: spec.low, max: spec.high, step, "aria-label": `${spec.name} as a slider`,
  });
  const off = missingSwitch(spec, () => {
    enable();
    changed();
  });
  const enable = () => {
    number.disabled = Boolean(off?.box.checked);
    if (range) range.disabled = number.disabled;
  };
  number.addEventListener("input", () => {
    if (range) range.value = number.value;
    changed();
  });
  if (range) {
    range.addEventListener("input", () => {
      number.value = range.value;
      changed();
    });
  }
  const wrap = spec.shape.reduce((deeper) => (value) => deeper([value]), (value) => value);
  const unwrap = (value) => (Array.isArray(value) ? unwrap(value[0]) : value);
  return {
    node: frame(spec, id, make("div", { class: "number" }, ...[range, number, off?.node].filter(Boolean))),
    set(stated) {
      const value = unwrap(stated);
      if (off) off.box.checked = value === null;
      if (value !== null) number.value = Number(value.toPrecision(6));
      if (range && value !== null) range.value = value;
      enable();
    },
    get() {
      if (off?.box.checked) return wrap(null);
      return number.checkValidity() && number.value !== "" ? wrap(Number(number.value)) : undefined;
    },
  };
}

function wordEditor(spec, changed) {
  const id = `field-${spec.name}`;
  const list = make("datalist", { id: `${id}-known` }, ...spec.words.map((word) => make("option", { value: word })));
  const word = make("input", { type: "text", id, list: list.id, maxlength: 200, autocomplete: "off", spellcheck: "false" });
  word.addEventListener("input", changed);
  const off = missingSwitch(spec, () => {
    word.disabled = off.box.checked;
    changed();
  });
  return {
    node: frame(spec, id, make("div", { class: "number" }, word, list, ...(off ? [off.node] : []))),
    set(value) {
      word.value = value ?? "";
      if (off) word.disabled = off.box.checked = !value;
    },
    get: () => (off?.box.checked ? null : word.value),
  };
}

function numbersEditor(spec, changed) {
  const count = spec.shape.reduce((product, size) => product * size, 1);
  const across = spec.shape.length > 1 ? spec.shape[1] : Math.min(count, 8);
  const cells = Array.from({ length: count }, (_, place) => make("input", {
    type: "number", step: "any", required: !spec.missing, id: `field-${spec.name}-${place}`,
    "aria-label": `${spec.name}, ${place + 1} of ${count}`, on: { input: changed },
  }));
  const grid = make("div", { class: "numbers" }, ...cells);
  grid.style.setProperty("--across", across);
  return {
    node: frame(spec, cells[0].id, grid),
    set(value) {
      [value].flat(Infinity).forEach((each, place) => { cells[place].value = each ?? ""; });
    },
    get() {
      if (!cells.every((cell) => cell.checkValidity())) return undefined;
      return shaped(cells.map((cell) => (cell.value === "" ? null : Number(cell.value))), spec.shape);
    },
  };
}

/** Too many numbers to type: they stay those of the row. */
function fixedEditor(spec) {
  let held;
  const said = make("p", { class: "quiet" }, `${spec.shape.join(" × ")} numbers, from real rows`);
  return {
    node: make("div", { class: "field" }, make("b", {}, spec.name), said),
    set(value) { held = value; },
    get: () => held,
  };
}

function shaped(flat, shape) {
  if (shape.length <= 1) return flat;
  const size = flat.length / shape[0];
  return Array.from({ length: shape[0] }, (_, part) => shaped(flat.slice(part * size, (part + 1) * size), shape.slice(1)));
}
