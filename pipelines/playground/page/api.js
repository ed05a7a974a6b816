// The application behind the page: JSON, lines of JSON, and the servers' state again and again.

const FOLLOW_MS = 1000;
const PATIENCE_MS = 10000;
export const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** The application answered, but not with what was asked for. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** No connection, or no answer in time: the application is gone, or too busy, for now. */
export const isSilence = (error) => error instanceof TypeError || error.name === "TimeoutError";

/** A signal that gives up after ten seconds. */
export const patience = () => AbortSignal.timeout(PATIENCE_MS);

export async function get(path) {
  const answer = await fetch(path, { signal: patience() });
  if (!answer.ok) throw await refusalIn(answer);
  return answer.json();
}

/** POSTs a question and hands on every line of the answer as soon as it is there. */
export async function* ask(path, question, signal) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(question),
    signal,
  });
  if (!answer.ok) throw await refusalIn(answer);
  const reader = answer.body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
    rest = lines.pop();
    for (const line of lines) if (line) yield JSON.parse(line);
  }
}

/** Calls `told` with the servers' state every second while the page can be seen, `lost` where there is none.
 *  A stream would hold one of the six connections that a browser has for all its tabs of a host. */
export async function follow(told, lost) {
  for (;;) {
    while (document.hidden) await shownOrHidden();
    try {
      told(await get("/api/state"));
    } catch (error) {
      if (!isSilence(error) && !(error instanceof Refused)) throw error;
      lost(error);
    }
    await wait(FOLLOW_MS);
  }
}

const shownOrHidden = () => new Promise((resolve) => {
  document.addEventListener("visibilitychange", resolve, { once: true });
});

async function refusalIn(answer) {
  try {
    return new Refused(answer.status, (await answer.json()).error);
  } catch {
    const busy = answer.status === 503;
    return new Refused(answer.status, busy ? "The playground is asked too much at once; the page asks again by itself." : `HTTP ${answer.status}`);
  }
}
