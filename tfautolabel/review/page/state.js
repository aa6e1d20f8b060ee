/** What all parts of the page know about the session; they are told when it changes. */

import { arrange, assignKeys } from "./class_keys.js";
import { remember, remembered } from "./preferences.js";

export class State extends EventTarget {
  constructor(session) {
    super();
    this.isMostUsedFirst = remembered("most-used-first", false);
    this.takeSession(session);
  }

  /** Tells the session apart from others on the same address. */
  get scope() {
    return `${this.session.id ?? this.session.title}:${this.session.who}`;
  }

  get modality() {
    return this.session.modality;
  }

  takeSession(session) {
    this.session = session;
    this.status = session.status;
    this._count();
    this._order();
    this.dispatchEvent(new Event("session"));
    this.dispatchEvent(new Event("status"));
  }

  takeStatus(status) {
    if (!status) return;
    this.status = status;
    const known = this.session.classes.map(each => each.name).sort().join("\0");
    this.session.classes = keepOrder(this.session.classes, status.classes);
    this._count();
    // Another person may have added or renamed one.
    if (known !== this.session.classes.map(each => each.name).sort().join("\0")) {
      this._order();
      this.dispatchEvent(new Event("session"));
    }
    this.dispatchEvent(new Event("status"));
  }

  /** Sorts once: a key never changes its class while a person answers. */
  sort(isMostUsedFirst) {
    this.isMostUsedFirst = isMostUsedFirst;
    remember("most-used-first", isMostUsedFirst);
    this._order();
    this.dispatchEvent(new Event("session"));
  }

  /** The person's own keys, by class. */
  get chosenKeys() {
    return remembered(`keys:${this.session.title}`, {});
  }

  chooseKey(name, key) {
    const chosen = Object.fromEntries(Object.entries(this.chosenKeys).filter(([, taken]) => taken !== key));
    delete chosen[name];
    if (key) chosen[name] = key;
    remember(`keys:${this.session.title}`, chosen);
    this._order();
    this.dispatchEvent(new Event("session"));
  }

  _count() {
    this._counts = new Map(this.session.classes.map(each => [each.name, each.count]));
  }

  _order() {
    /** @type {string[]} */
    this.names = arrange(this.session.classes, this.isMostUsedFirst);
    this.keys = assignKeys(this.names, this.chosenKeys);
  }

  /** @returns {string|undefined} the class of a key. */
  classOf(key) {
    return this.names.find(name => this.keys.get(name) === key);
  }

  countOf(name) {
    return this._counts.get(name) ?? 0;
  }
}

/** New counts in the order that the person knows; new classes at the end. */
function keepOrder(old, fresh) {
  const place = new Map(old.map((each, index) => [each.name, index]));
  return [...fresh].sort((one, other) => (place.get(one.name) ?? old.length) - (place.get(other.name) ?? old.length));
}
