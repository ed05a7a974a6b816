// The search for inputs that divide the engines, and what it has found.

import { ask, Refused } from "./api.js";
import { byId, make, percent, say } from "./dom.js";
import { paint, rowsOf } from "./pixels.js";

const ENDS = {
  enough: (line) => `${line.finds} found among ${line.tried} inputs.`,
  budget: (line) => `${line.finds ? `${line.finds} found` : "None found"} among ${line.tried} inputs.`,
  time: (line) => `${line.finds ? `${line.finds} found` : "None found"} among ${line.tried} inputs; the time was up.`,
  error: (line) => line.problem,
};

export class Hunt {
  /** `current()` gives the page's question; `load(find)` shows a find as the page's input. */
  constructor(described, current, load) {
    this.described = described;
    this.current = current;
    this.load = load;
    this.running = null;
    byId("hunt").addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.running) this.running.abort();
      else this.run();
    });
  }

  /** The int8 file is not of every case. */
  forbid(kind) {
    const choice = document.querySelector(`input[name="kind"][value="${kind}"]`);
    choice.disabled = true;
    choice.parentNode.classList.add("off");
  }

  async run() {
    this.running = new AbortController();
    this.begin();
    try {
      const chosen = new FormData(byId("hunt"));
      const start = chosen.get("start") === "current" ? this.current() : {};
      const question = { ...start, kind: chosen.get("kind"), seed: Number(byId("seed").value) };
      for await (const line of ask("/api/search", question, this.running.signal)) this.take(line);
    } catch (error) {
      if (error.name === "AbortError") say(byId("hunt-said"), "Stopped.");
      else if (error instanceof Refused) say(byId("hunt-said"), error.message);
      else say(byId("hunt-said"), "The playground does not answer.");
    } finally {
      this.running = null;
      byId("hunt-button").textContent = "Find a disagreement";
      byId("hunt-button").classList.remove("stop");
    }
  }

  begin() {
    byId("finds").replaceChildren();
    byId("hunt-progress").hidden = false;
    byId("hunt-bar").value = 0;
    say(byId("hunt-said"), "Searching …");
    byId("hunt-button").textContent = "Stop";
    byId("hunt-button").classList.add("stop");
  }

  take(line) {
    if (line.found) byId("finds").append(this.find(line.found));
    else if (line.done) {
      byId("hunt-bar").value = 1;
      say(byId("hunt-said"), ENDS[line.done](line));
    } else {
      byId("hunt-bar").value = line.tried / line.of;
      byId("hunt-bar").title = `${line.tried} of ${line.of} inputs tried`;
    }
  }

  find(found) {
    const { labels } = this.described;
    const from = found.row === null ? "your input" : `row ${found.row}, labelled ${labels[found.label]}`;
    const button = make("button", { type: "button", class: "find", on: { click: () => this.load(found) } },
      this.picture(found),
      make("span", { class: "find-text" },
        make("b", {}, from),
        make("span", { class: "quiet" }, found.change || "as it is"),
        make("span", { class: "chips" }, ...this.sides(found))));
    return make("li", {}, button);
  }

  picture(found) {
    const spec = this.described.inputs.find((input) => input.name === this.described.drawn);
    if (!spec) return "";
    const canvas = make("canvas", { class: "find-picture", "aria-hidden": "true" });
    paint(canvas, { rows: rowsOf(found.inputs[spec.name]), low: spec.low, high: spec.high });
    return canvas;
  }

  sides(found) {
    return found.said.map((said) => {
      const engine = this.described.engines.find((each) => each.key === said.engine);
      const name = engine.server ? engine.title : engine.way;
      const words = `${name}: ${this.described.labels[said.winner]} (${percent(said.score, 0)})`;
      return make("span", { class: `chip ${engine.framework}` }, words);
    });
  }
}
