// Brings the parts together: one input, asked again whenever it changes.

import { follow, get, isSilence, Refused } from "./api.js";
import { Answers } from "./answers.js";
import { Asker } from "./asking.js";
import { byId, say } from "./dom.js";
import { Pad } from "./drawing.js";
import { Fields } from "./fields.js";
import { Hunt } from "./hunting.js";
import { paint, rowsOf } from "./pixels.js";
import { Servers } from "./servers.js";
import { Sliders } from "./sliders.js";

const RETRY_MS = 1500;

class Page {
  constructor(described) {
    this.described = described;
    this.image = described.inputs.find((input) => input.name === described.drawn);
    this.source = {};
    this.servers = new Servers();
    this.answers = new Answers(described);
    this.asker = new Asker({
      line: (line) => this.hear(line),
      end: () => this.conclude(),
      dropped: (why) => this.dropped(why),
      silent: () => this.answers.rest("No answer", "The playground is gone or busy; the page asks again by itself."),
    });
    this.head();
    if (this.image) this.openPad();
    else this.fields = new Fields(described.inputs, () => this.edited());
    this.hunt = new Hunt(described, () => this.question(), (find) => this.load(find));
    byId("row").addEventListener("click", () => this.takeRow());
    byId("again").addEventListener("change", (event) => { this.asker.repeats = event.target.checked; });
    follow((state) => this.told(state), (error) => this.servers.lost(error));
    this.takeRow(0);
  }

  head() {
    const { title, labels } = this.described;
    document.title = `${title} · TwinServe playground`;
    say(byId("title"), this.image ? "One drawing, every answer" : "One row, every answer");
    say(byId("subtitle"), `${title}. ${labels.length} classes, two frameworks, two servers, two protocols; the TFLite files beside them.`);
    say(byId("input-title"), this.image ? "Draw" : "Fields");
  }

  openPad() {
    byId("drawing").hidden = byId("undo").hidden = byId("clear").hidden = byId("keys").hidden = false;
    this.pad = new Pad((strokes) => this.drawn(strokes));
    this.sliders = new Sliders(() => this.ask());
    byId("undo").addEventListener("click", () => this.pad.undo());
    byId("clear").addEventListener("click", () => this.pad.clear());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.ask());
  }

  async takeRow(number = Math.floor(Math.random() * this.described.rows)) {
    try {
      this.load(await get(`/api/rows/${number}`));
    } catch (error) {
      if (!isSilence(error) && !(error instanceof Refused)) throw error;
      say(byId("origin"), "The row did not come; take another.");
    }
  }

  /** A real row, or a find of the search. */
  load({ inputs, row, label, change }) {
    this.sliders?.reset();
    this.pad?.show(this.pictureOf(inputs));
    this.fields?.show(inputs);
    const from = row === null ? "A change of your input" : `Test row ${row}, labelled ${this.described.labels[label]}`;
    this.loaded = { source: { inputs }, origin: change ? `${from}; changed` : from };
    this.take(this.loaded);
  }

  drawn(strokes) {
    if (!strokes.length && this.pad.image) this.take(this.loaded);
    else this.take({ source: { strokes }, origin: strokes.length ? "Your drawing" : "" });
  }

  take({ source, origin }) {
    this.source = source;
    say(byId("origin"), origin);
    this.ask();
  }

  edited() {
    const inputs = this.fields.row();
    if (!inputs) {
      this.asker.drop("A field is empty or not a number");
      return;
    }
    this.take({ source: { inputs }, origin: "Edited" });
  }

  /** Answers to an older input would pass for answers to this one. */
  dropped(why) {
    say(byId("origin"), why);
    this.answers.rest("Not asked");
    if (this.pad) paint(byId("seen"), this.blank());
  }

  question() {
    return this.sliders ? { ...this.source, sliders: this.sliders.values() } : this.source;
  }

  ask() {
    this.asker.ask(this.question());
  }

  hear(line) {
    if (line.engine) this.answers.take(line);
    else if (line.inputs === null) {
      this.empty = true;
      this.asker.question = null;
      this.answers.rest();
      if (this.pad) paint(byId("seen"), this.blank());
    } else {
      this.empty = false;
      if (this.image) paint(byId("seen"), this.pictureOf(line.inputs));
    }
  }

  conclude() {
    if (!this.empty) this.answers.conclude();
  }

  told(state) {
    // Another case listens here now, or another version of this page.
    if (state.page !== this.described.page) location.reload();
    if (state.absent.length) this.hunt.forbid("int8");
    if (this.servers.show(state) && this.asker.question) this.ask();
  }

  pictureOf(inputs) {
    return this.image ? { rows: rowsOf(inputs[this.image.name]), low: this.image.low, high: this.image.high } : null;
  }

  blank() {
    const [tall, wide] = this.image.shape;
    return { rows: Array.from({ length: tall }, () => Array(wide).fill(this.image.low)), low: this.image.low, high: this.image.high };
  }
}

async function open() {
  try {
    new Page(await get("/api/case"));
  } catch (error) {
    new Servers().lost(error);
    setTimeout(open, RETRY_MS);
    if (!isSilence(error) && !(error instanceof Refused)) throw error;
  }
}

open();
