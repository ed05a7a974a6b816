// Which servers run, with which versions; and a sentence when one does not.

import { Refused } from "./api.js";
import { byId, make, say } from "./dom.js";

const NAMES = { tfserving: "TF Serving", torchserve: "TorchServe" };

/** Shows the state; says whether a server answers now that did not, or answers with another version. */
export class Servers {
  constructor() {
    this.before = "";
    this.shown = "";
  }

  show({ servers }) {
    const state = JSON.stringify(servers);
    if (state === this.shown) return false;
    this.shown = state;
    byId("servers").replaceChildren(...Object.entries(servers).map(([name, server]) => pill(name, server)));
    const down = Object.entries(servers).filter(([, server]) => server.problem);
    this.warn(down);
    const now = JSON.stringify(Object.values(servers).map(({ version, problem }) => [version, problem]));
    const changed = now !== this.before;
    this.before = now;
    return changed;
  }

  warn(down) {
    const sentences = down.map(([name, server]) => `${NAMES[name]} is down. ${server.problem}`);
    if (down.length) sentences.push("The page goes on with whoever answers, and takes it back by itself.");
    byId("alert").hidden = !down.length;
    say(byId("alert"), sentences.join(" "));
  }

  /** The application behind the page does not answer, or says why it does not. */
  lost(error) {
    this.shown = "";
    byId("alert").hidden = false;
    say(byId("alert"), error instanceof Refused
      ? error.message : "The playground itself does not answer. Start it again with make playground; the page connects by itself.");
  }
}

function pill(name, server) {
  const others = Object.entries(server.versions).filter(([version]) => Number(version) !== server.version);
  const coming = others.filter(([, state]) => state !== "END");
  const version = server.version === null ? "" : `version ${server.version}`;
  const more = coming.map(([number, state]) => `${number} ${state.toLowerCase().replaceAll("_", " ")}`).join(", ");
  return make("li", { class: "pill", data: { server: name, state: server.problem ? "down" : coming.length ? "changing" : "up" } },
    make("i", { class: "lamp", "aria-hidden": "true" }),
    make("span", { class: "pill-name" }, server.label),
    make("span", { class: "pill-version" }, server.problem ? "down" : version),
    more && !server.problem ? make("span", { class: "pill-more" }, more) : "");
}
