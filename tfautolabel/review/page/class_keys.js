/** Which key stands for which class, in which order classes are shown, and which of them a few letters mean. */

/** Digits, then the letters that no command uses. */
export const CLASS_KEYS = [..."1234567890aiopqtuwxz"];

/**
 * @param {{name: string, count: number}[]} classes in the order of the session.
 * @param {boolean} isMostUsedFirst
 * @returns {string[]} names.
 */
export function arrange(classes, isMostUsedFirst) {
  const order = [...classes];
  if (isMostUsedFirst) order.sort((one, other) => other.count - one.count);
  return order.map(each => each.name);
}

/**
 * @param {string[]} names in the order in which they are shown.
 * @param {Record<string, string>} chosen a person's own keys, by name; one that is no class key counts as none.
 * @returns {Map<string, string>} name to key; classes beyond the keys have none.
 */
export function assignKeys(names, chosen) {
  const keys = new Map(), taken = new Set();
  for (const name of names) {
    const key = chosen[name];
    if (CLASS_KEYS.includes(key) && !taken.has(key)) {
      keys.set(name, key);
      taken.add(key);
    }
  }
  const free = CLASS_KEYS.filter(key => !taken.has(key));
  for (const name of names) if (!keys.has(name) && free.length) keys.set(name, free.shift());
  return keys;
}

/** Letters as they are compared: without case and accents. */
export function plain(text) {
  return text.normalize("NFKD").replace(/\p{M}/gu, "").toLocaleLowerCase();
}

/** @returns {string[]} the names that a text means: those that begin with it, then those with a word that does, then the rest. */
export function matching(names, text) {
  const wanted = plain(text.trim());
  if (!wanted) return names;
  const ranks = names.map(name => {
    const have = plain(name), place = have.indexOf(wanted);
    if (place < 0) return 3;
    if (place === 0) return 0;
    return /[\s\-_/.,:(]/.test(have[place - 1]) ? 1 : 2;
  });
  return [0, 1, 2].flatMap(rank => names.filter((_, place) => ranks[place] === rank));
}
