/**
 * The server's interface: JSON there and back, and three kinds of failure that the page treats differently.
 *
 * @typedef {{label: string, confidence: number}} Guess
 * @typedef {{kind: string, label: string|null, comment: string}} Answer
 * @typedef {{ticket: string, id: string, text: string|null, media: string|null, guess: Guess|null,
 *            given: string|null, answer: Answer|null}} Item
 * @typedef {{act: string, ticket: string, kind: string, label: string|null, seconds: number,
 *            guess_shown: boolean, comment: string}} Event
 */

const PATIENCE_MS = 20000;

/** The server answered, and said no. */
export class Refused extends Error {
  constructor(status, sentence) {
    super(sentence);
    this.status = status;
  }

  /** The session is over: only a new link helps. */
  get isSignedOut() {
    return this.status === 401;
  }

  /** The same request may succeed later. */
  get isForNow() {
    return this.status >= 500 || [401, 408, 423, 425, 429].includes(this.status);
  }
}

/** The server did not answer. */
export class Unreachable extends Error {}

async function send(path, options) {
  let response, text;
  try {
    response = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS), ...options });
    text = await response.text();
  } catch {
    throw new Unreachable("The server does not answer.");
  }
  let content = null;
  try {
    content = JSON.parse(text);
  } catch {
    // Something between the page and the server answered.
  }
  if (!response.ok) throw new Refused(response.status, content?.error ?? `The server answered with status ${response.status}.`);
  if (content === null) throw new Unreachable("What answered is not the server of this page.");
  return content;
}

export const get = path => send(path, {});

export const post = (path, body) =>
  send(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });

/** A name for one act: answers under one name are undone together. */
export function newAct() {
  if (crypto.randomUUID) return crypto.randomUUID();
  // Pages that are not from this machine and not over https have no randomUUID.
  return [...crypto.getRandomValues(new Uint8Array(16))].map(byte => byte.toString(16).padStart(2, "0")).join("");
}
