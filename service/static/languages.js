// Languages: their names, and whether two tags mean the same one.

const names = new Intl.DisplayNames("en", { type: "language", fallback: "none" });

/** The name of the language of a BCP 47 tag, German of "de"; a tag without a name stays as it is. */
export function language(tag) {
  if (!tag) return null;
  try {
    return names.of(tag) ?? tag;
  } catch {
    return tag; // with a private part, as in x-ours
  }
}

/** Whether two tags have the same language in the same script; as for the server, regions may differ. */
export function agree(one, other) {
  if (!one || !other) return false;
  try {
    const [a, b] = [one, other].map((tag) => new Intl.Locale(tag).maximize());
    return a.language === b.language && a.script === b.script;
  } catch {
    return one === other;
  }
}
