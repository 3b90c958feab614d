// The card: the Markdown of a model's card as elements. What this subset does not know stays text.

const BLOCKS = [
  { begins: /^(`{3,}|~{3,})/, make: code },
  { begins: /^#{1,6}\s/, make: heading },
  { begins: /^\s*(?:[-*+]|\d+[.)])\s+/, make: list },
  { begins: /^\s*\|.*\|\s*$/, make: table },
  { begins: /^>/, make: quotation },
  { begins: /^\s*(?:-\s*){3,}$|^\s*(?:\*\s*){3,}$/, make: rule },
];
const MOST = 5000; // characters of a line or paragraph beyond which it is not searched for marks
const ITEM = /^(\s*)([-*+]|\d+[.)])\s+(.*)$/;
const INLINE = /(`{1,2})(.+?)\1|\*\*(.+?)\*\*|\*(\S(?:.*?\S)?)\*|\[([^\]]*)\]\(([^()\s]+)\)|<(https?:[^<>\s]+)>|(https?:[^\s<>()]*[^\s<>().,;:])/;

/** The elements that show `markdown`. Headings are at least of the third level. */
export function rendered(markdown) {
  const own = markdown.replace(/^---\n.*?\n---\n/s, ""); // without YAML of a hub
  const lines = own.split(/\r\n?|[\n\u2028\u2029]/); // all that "." of a pattern does not match
  const nodes = [];
  while (lines.length) {
    if (!lines[0].trim()) lines.shift();
    else nodes.push(blockOf(lines[0])(lines));
  }
  return nodes;
}

function blockOf(line) {
  // A rule looks like the beginning of a list.
  if (BLOCKS.at(-1).begins.test(line)) return rule;
  return BLOCKS.find(({ begins }) => begins.test(line))?.make ?? paragraph;
}

// Each takes its lines from the beginning of `lines`.

function paragraph(lines) {
  const own = [lines.shift()];
  while (lines[0]?.trim() && blockOf(lines[0]) === paragraph) own.push(lines.shift());
  return element("p", inline(own.join(" ")));
}

function heading(lines) {
  const [, marks, text] = /^(#+)\s+(.*?)\s*#*$/.exec(lines.shift());
  return element(`h${Math.min(marks.length + 2, 6)}`, inline(text));
}

function code(lines) {
  const fence = /^(`{3,}|~{3,})/.exec(lines.shift())[1];
  const own = [];
  while (lines.length && !lines[0].startsWith(fence)) own.push(lines.shift());
  lines.shift();
  return element("pre", [element("code", [own.join("\n")])]);
}

function list(lines) {
  const [, indent, mark] = ITEM.exec(lines[0]);
  const items = element(/\d/.test(mark) ? "ol" : "ul", []);
  for (let found; (found = ITEM.exec(lines[0] ?? "")); ) {
    if (found[1].length < indent.length) break;
    if (found[1].length > indent.length + 1) items.lastChild.append(list(lines));
    else {
      lines.shift();
      const own = [found[3]];
      while (/^\s+\S/.test(lines[0] ?? "") && !ITEM.test(lines[0])) own.push(lines.shift().trim());
      items.append(element("li", inline(own.join(" "))));
    }
  }
  return items;
}

function table(lines) {
  const rows = [];
  while (/^\s*\|.*\|\s*$/.test(lines[0] ?? "")) {
    rows.push(lines.shift().trim().slice(1, -1).split("|"));
  }
  const headed = rows[1]?.every((cell) => /^\s*:?-+:?\s*$/.test(cell));
  if (headed) rows.splice(1, 1);
  return element(
    "table",
    rows.map((row, i) =>
      element(
        "tr",
        row.map((cell) => element(headed && !i ? "th" : "td", inline(cell.trim()))),
      ),
    ),
  );
}

function quotation(lines) {
  const own = [];
  while (lines[0]?.startsWith(">")) own.push(lines.shift().replace(/^(?:>\s?)+/, ""));
  return element("blockquote", rendered(own.join("\n")));
}

function rule(lines) {
  lines.shift();
  return element("hr", []);
}

/** The text of a line as nodes: code, bold, emphasis and links. */
function inline(text) {
  if (text.length > MOST) return [text];
  const nodes = [];
  for (let found; (found = INLINE.exec(text)); ) {
    nodes.push(text.slice(0, found.index), inlineElement(found));
    text = text.slice(found.index + found[0].length);
  }
  return [...nodes, text];
}

function inlineElement([whole, , literal, bold, emphasis, label, address, ...bare]) {
  if (literal) return element("code", [literal]);
  if (bold) return element("strong", inline(bold));
  if (emphasis) return element("em", inline(emphasis));
  const url = address ?? bare[0] ?? bare[1];
  return link(url, address === undefined ? [url] : inline(label || url)) ?? whole;
}

/** A link to another site; null for any other address, which could be a script. */
function link(address, content) {
  if (!/^https?:/i.test(address) || !URL.canParse(address)) return null;
  const anchor = element("a", content);
  anchor.href = address;
  anchor.rel = "noopener noreferrer";
  anchor.target = "_blank";
  return anchor;
}

function element(name, content) {
  const made = document.createElement(name);
  made.append(...content);
  return made;
}
