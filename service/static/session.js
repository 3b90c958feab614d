// The session: what was typed and chosen. It survives a reload and ends with the tab. The API key is
// never part of it.

const PREFIX = "dragoman.";

/** What was kept under `name`, or null. */
export function recall(name) {
  try {
    return JSON.parse(sessionStorage.getItem(PREFIX + name));
  } catch {
    return null; // storage is switched off, or somebody else wrote there
  }
}

/** Keep `value` under `name`; null removes what was there. */
export function keep(name, value) {
  try {
    if (value === null) sessionStorage.removeItem(PREFIX + name);
    else sessionStorage.setItem(PREFIX + name, JSON.stringify(value));
  } catch {
    // then it lasts as long as the page
  }
}
