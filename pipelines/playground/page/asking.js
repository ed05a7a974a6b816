// One question at a time: while one is being answered, only the newest of the others waits.

import { ask, isSilence, patience, Refused, wait } from "./api.js";

const AGAIN_MS = 1000;
const SPACING_MS = 40; // 25 questions a second: fewer than the application takes
const BUSY = [429, 503];
const AFTER_REFUSAL_MS = 400;
const AFTER_SILENCE_MS = 1500;

export class Asker {
  /** `line(value)` and `end()` are called as answers come, `dropped(why)` and `silent()` where none does. */
  constructor(listener) {
    this.listener = listener;
    this.question = null;
    this.newest = null;
    this.current = null;
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

  /** Asks no more until there is another question. */
  drop(why) {
    this.question = this.newest = null;
    this.current?.abort();
    this.listener.dropped(why);
  }

  async work() {
    this.busy = true;
    while (this.newest) {
      const question = this.newest;
      this.newest = null;
      const [pause] = await Promise.all([this.once(question), wait(SPACING_MS)]);
      if (pause) {
        await wait(pause);
        this.newest = this.newest ?? this.question; // unless it was dropped meanwhile
      }
    }
    this.busy = false;
  }

  /** Asks; says after how many milliseconds to ask again, 0 for not at all. */
  async once(question) {
    try {
      this.current = new AbortController();
      const signal = AbortSignal.any([this.current.signal, patience()]);
      for await (const line of ask("/api/ask", question, signal)) this.listener.line(line);
      this.listener.end();
      return 0;
    } catch (error) {
      if (error.name === "AbortError") return 0;
      if (error instanceof Refused && BUSY.includes(error.status)) return AFTER_REFUSAL_MS;
      if (error instanceof Refused) {
        if (this.question === question) this.drop(error.message);
        return 0;
      }
      if (!isSilence(error)) throw error;
      this.listener.silent();
      return AFTER_SILENCE_MS;
    }
  }
}
