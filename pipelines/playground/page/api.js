// The application behind the page: JSON, lines of JSON, and the servers' state as events.

/** The application answered, but not with what was asked for. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export async function get(path) {
  const answer = await fetch(path);
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

/** Calls `told` with the servers' state whenever it changes; the browser connects again by itself. */
export function follow(told, lost) {
  const events = new EventSource("/api/state");
  events.onmessage = (event) => told(JSON.parse(event.data));
  events.onerror = () => {
    lost();
    if (events.readyState === EventSource.CLOSED) setTimeout(() => follow(told, lost), 2000);
  };
}

async function refusalIn(answer) {
  try {
    return new Refused(answer.status, (await answer.json()).error);
  } catch {
    return new Refused(answer.status, `HTTP ${answer.status}`);
  }
}
