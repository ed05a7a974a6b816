// One question at a time: while one is being answered, only the newest of the others waits.

import { ask, Refused } from "./api.js";

const AGAIN_MS = 1000;
const SPACING_MS = 40; // 25 questions a second: fewer than the application takes
const AFTER_REFUSAL_MS = 400;
const AFTER_SILENCE_MS = 1500;
const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

export class Asker {
  /** `begin(question)`, `line(value)`, `end()`, and `refused(message)` are called as answers come. */
  constructor(listener) {
    this.listener = listener;
    this.question = null;
    this.newest = null;
    this.busy = false;
    this.repeats = true;
    setInterval(() => {
      if (this.repeats && !document.hidden && !this.busy && this.question) this.ask(this.question);
    }, AGAIN_MS);
  }

  ask(question) {
    this.question = question;
    this.newest = question;
    if (!this.busy) this.work();
  }

  async work() {
    this.busy = true;
    while (this.newest) {
      const question = this.newest;
      this.newest = null;
      const [pause] = await Promise.all([this.once(question), wait(SPACING_MS)]);
      if (pause) {
        await wait(pause);
        this.newest = this.newest ?? question;
      }
    }
    this.busy = false;
  }

  /** Asks; says after how many milliseconds to ask again, 0 for not at all. */
  async once(question) {
    try {
      this.listener.begin(question);
      for await (const line of ask("/api/ask", question)) this.listener.line(line);
      this.listener.end();
      return 0;
    } catch (error) {
      if (error instanceof Refused && error.status === 429) return AFTER_REFUSAL_MS;
      if (error instanceof Refused) {
        this.listener.refused(error.message);
        return 0;
      }
      if (!(error instanceof TypeError)) throw error;
      return AFTER_SILENCE_MS; // no connection: the application is gone for now
    }
  }
}
