/** Two pages of one person would get the same examples, and the later answer would replace the earlier one unseen. */

/**
 * @param {string} scope of the session and the person.
 * @param {() => void} tell is called when another page of this browser has the same session.
 */
export function watchTabs(scope, tell) {
  if (!("BroadcastChannel" in window)) return;
  const channel = new BroadcastChannel(`tfautolabel-review:${scope}`);
  channel.addEventListener("message", event => {
    if (event.data === "hello") channel.postMessage("here too");
    tell();
  });
  channel.postMessage("hello");
}
