/** Asks for the status now and then: it keeps the person's examples, and tells what others and the model did meanwhile. */

import { get } from "./api.js";

const CALM_MS = 15000;
const BUSY_MS = 2000;
const LEASE_MS = 9 * 60 * 1000;
const KEEP_MS = 2 * 60 * 1000;

/**
 * @param {{state: import("./state.js").State, ahead: import("./ahead.js").Ahead, sayServer: (error: Error|null) => void, onReturn: () => void}} parts
 *   onReturn: the person was away so long that others may have got the same examples.
 */
export function watch({ state, ahead, sayServer, onReturn }) {
  let seenAt = Date.now(), alarm = null, isLooking = false;
  const lookIn = wait => {
    clearTimeout(alarm);
    alarm = setTimeout(look, wait);
  };
  const look = async () => {
    isLooking = true;
    if (!document.hidden) {
      try {
        const before = state.status.finish.state, status = await get("/api/status");
        sayServer(null);
        if (Date.now() - seenAt > LEASE_MS) onReturn();
        else if (Date.now() - ahead.askedAt > KEEP_MS) ahead.keep();
        seenAt = Date.now();
        if (status.finish.state !== before) state.takeSession(await get("/api/session"));
        else state.takeStatus(status);
      } catch (error) {
        sayServer(error);
      }
    }
    isLooking = false;
    const { refitting, finish } = state.status;
    lookIn(refitting || finish.state === "running" ? BUSY_MS : CALM_MS);
  };
  lookIn(BUSY_MS);
  // After an answer the model may learn at once.
  state.addEventListener("status", () => isLooking || lookIn(BUSY_MS));
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && Date.now() - seenAt > LEASE_MS) {
      seenAt = Date.now();
      onReturn();
    }
  });
}
