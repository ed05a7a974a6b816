// The last answers' times as a line; a gap where there was no answer.

import { draw } from "./dom.js";

const KEPT = 40;
const WIDE = 120;
const TALL = 26;

export class Sparkline {
  constructor() {
    this.times = [];
    this.line = draw("path", { class: "spark-line" });
    this.dot = draw("path", { class: "spark-dot" });
    this.node = draw("svg", { viewBox: `0 0 ${WIDE} ${TALL}`, class: "spark", "aria-hidden": "true", preserveAspectRatio: "none" });
    this.node.append(this.line, this.dot);
  }

  add(milliseconds) {
    this.times.push(milliseconds);
    if (this.times.length > KEPT) this.times.shift();
    const known = this.times.filter((time) => time !== null);
    const most = Math.max(1, ...known);
    let path = "";
    let gap = true;
    this.times.forEach((time, place) => {
      if (time === null) {
        gap = true;
        return;
      }
      path += `${gap ? "M" : "L"}${this.x(place)} ${this.y(time, most)}`;
      gap = false;
    });
    this.line.setAttribute("d", path);
    const last = this.times.at(-1);
    this.dot.setAttribute("visibility", last === null ? "hidden" : "visible");
    if (last === null) return;
    // A line of no length with round ends stays a circle, however the drawing is stretched.
    this.dot.setAttribute("d", `M${this.x(this.times.length - 1)} ${this.y(last, most)}h0`);
  }

  x(place) {
    return (3 + (place / (KEPT - 1)) * (WIDE - 6)).toFixed(1);
  }

  y(time, most) {
    return (TALL - 3 - (time / most) * (TALL - 6)).toFixed(1);
  }
}
