// A card for each engine, and above them what they say together.

import { byId, make, percent, say } from "./dom.js";
import { Sparkline } from "./sparkline.js";

const FEW = 4;
const WORDS = ["None", "One", "Two", "Three", "Four", "Five", "Six"];

export class Answers {
  constructor(described) {
    this.labels = described.labels;
    this.engines = described.engines;
    this.cards = new Map(described.engines.map((engine) => [engine.key, new Card(engine, described.labels)]));
    byId("engines").append(...[...this.cards.values()].map((card) => card.node));
    this.latest = new Map();
  }

  take(answer) {
    this.latest.set(answer.engine, answer);
    this.cards.get(answer.engine).show(answer);
  }

  /** There are no answers: by itself because the page is empty. */
  rest(why = "Nothing asked yet", more = "") {
    this.latest.clear();
    for (const card of this.cards.values()) card.rest();
    this.declare("quiet", why, more);
  }

  /** All have answered. */
  conclude() {
    const answered = this.engines.map((engine) => this.latest.get(engine.key)).filter((each) => each?.scores);
    const groups = new Map();
    for (const each of answered) groups.set(each.winner, [...(groups.get(each.winner) ?? []), each]);
    for (const card of this.cards.values()) card.judge(groups.size > 1);
    if (!answered.length) this.declare("none", "Nobody answers", "The page asks again by itself.");
    else if (groups.size === 1) this.agree(answered);
    else this.disagree(groups);
  }

  agree(answered) {
    const all = answered.length === [...this.latest.values()].filter((each) => !each.absent).length;
    const who = answered.length === 1 ? "The only one that answers says" : `${all ? "All" : "The"} ${WORDS[answered.length].toLowerCase()}${all ? "" : " that answer"} say`;
    this.declare("good", `${who} ${this.labels[answered[0].winner]}`, this.apart(answered));
  }

  disagree(groups) {
    const sides = [...groups].map(([winner, members]) => `${this.labels[winner]}: ${this.names(members)}`);
    this.declare("split", `They disagree. ${sides.join(" · ")}`, this.apart([...groups.values()].flat()));
  }

  names(members) {
    const keys = new Set(members.map((each) => each.engine));
    const named = [];
    for (const title of new Set(this.engines.map((engine) => engine.title))) {
      const mine = this.engines.filter((engine) => engine.title === title);
      const here = mine.filter((engine) => keys.has(engine.key));
      if (here.length === mine.length) named.push(title);
      else named.push(...here.map((engine) => `${title} ${engine.way}`));
    }
    return named.join(", ");
  }

  apart(answered) {
    if (answered.length < 2) return "";
    let widest = 0;
    this.labels.forEach((_, label) => {
      const scores = answered.map((each) => each.scores[label]);
      widest = Math.max(widest, Math.max(...scores) - Math.min(...scores));
    });
    const shown = widest < 0.0001 ? "less than 0.01" : `at most ${(widest * 100).toFixed(widest < 0.1 ? 2 : 1)}`;
    return `Probabilities are ${shown} percentage points apart.`;
  }

  declare(mood, sentence, more) {
    byId("verdict-box").dataset.mood = mood;
    say(byId("verdict"), sentence);
    say(byId("spread"), more);
  }
}

class Card {
  constructor(engine, labels) {
    this.engine = engine;
    this.labels = labels;
    this.version = make("span", { class: "version", hidden: true });
    this.label = make("p", { class: "label" });
    this.winner = make("span", { class: `winner${labels.some((label) => label.length > 2) ? " worded" : ""}` }, "–");
    this.share = make("span", { class: "share" });
    this.bars = labels.map((label) => make("i", {}));
    this.chart = make("div", { class: labels.length > FEW ? "bars tall" : "bars wide", role: "img" },
      ...labels.map((label, place) => make("span", { class: "bar" }, this.bars[place], make("b", {}, label))));
    this.problem = make("p", { class: "problem", hidden: true });
    this.time = make("span", { class: "time" });
    this.spark = new Sparkline();
    this.node = make("li", { class: `engine ${engine.framework}`, data: { engine: engine.key } },
      make("h3", {}, engine.title, " ", make("span", { class: "way" }, engine.way)),
      this.label,
      make("div", { class: "result" }, this.winner, this.share, this.version),
      this.chart,
      this.problem,
      make("div", { class: "latency" }, this.spark.node, this.time));
    this.rest();
  }

  rest() {
    this.node.dataset.state = "idle";
    this.winner.textContent = "–";
    this.share.textContent = "";
    this.fill(this.labels.map(() => 0));
  }

  show(answer) {
    const failed = !answer.scores;
    this.node.dataset.state = !failed ? "answered" : answer.absent ? "absent" : "down";
    this.label.textContent = answer.label;
    this.problem.hidden = !failed;
    say(this.problem, answer.problem ?? "");
    if (failed) {
      this.version.hidden = true;
      this.winner.textContent = "–";
      this.share.textContent = "";
      this.time.textContent = "";
      this.spark.add(null);
      this.fill(this.labels.map(() => 0));
      return;
    }
    this.version.hidden = answer.version === null;
    this.version.textContent = `version ${answer.version}`;
    this.winner.textContent = this.labels[answer.winner];
    this.share.textContent = percent(answer.scores[answer.winner]);
    this.time.textContent = `${answer.milliseconds.toFixed(answer.milliseconds < 10 ? 1 : 0)} ms`;
    this.spark.add(answer.milliseconds);
    this.node.dataset.winner = answer.winner;
    this.fill(answer.scores, answer.winner);
  }

  fill(scores, winner = -1) {
    scores.forEach((score, place) => {
      this.bars[place].style.setProperty("--share", Math.max(0, Math.min(1, score)));
      this.bars[place].parentNode.classList.toggle("won", place === winner);
    });
    const best = scores.map((score, place) => [score, place]).sort((a, b) => b[0] - a[0]).slice(0, 3);
    const said = winner < 0 ? "no answer" : best.map(([score, place]) => `${this.labels[place]} ${percent(score)}`).join(", ");
    this.chart.setAttribute("aria-label", `Probabilities: ${said}`);
  }

  judge(divided) {
    this.node.classList.toggle("divided", divided);
  }
}
