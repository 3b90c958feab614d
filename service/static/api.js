// The API: the requests of the page to the server, and their errors.

/** The server answered with an error. `status` is 0 for an error within a stream. */
export class Refused extends Error {
  constructor(status, type, message, retryAfter = null) {
    super(message);
    this.status = status;
    this.type = type;
    this.retryAfter = retryAfter; // seconds
  }
}

/** What was typed cannot be sent: a refusal of this page, which needs no server to see it. */
export class Unsendable extends Refused {
  constructor(message) {
    super(422, "invalid_request", message);
  }
}

/** There was no answer, or only part of one. */
export class Unreachable extends Error {}

/** Fetch the list of models. */
export async function listModels(key, signal) {
  const response = await request("v1/models", { headers: headers(key), signal });
  return (await response.json()).models;
}

/** What the server says may be done with texts that are too long: the values of `on_long`. */
export async function waysWithLongTexts() {
  const response = await request("openapi.json", {});
  const { components } = await response.json();
  const { schemas } = components;
  const found = [];
  const collect = (schema) => {
    found.push(...(schema?.enum ?? []));
    for (const each of schema?.anyOf ?? []) collect(each);
    if (schema?.$ref) collect(schemas[schema.$ref.split("/").at(-1)]);
  };
  collect(schemas.SummarizeRequest?.properties.on_long);
  return found;
}

/**
 * Translate or summarize one text. Calls `onText` with each longer prefix of the answer, and
 * returns the complete answer.
 */
export async function generate(path, body, { key, signal, onText }) {
  const response = await request(path, {
    method: "POST",
    headers: { ...headers(key), "Content-Type": "application/json" },
    body: JSON.stringify({ ...body, stream: true }),
    signal,
  });
  if (!response.headers.get("Content-Type")?.startsWith("text/event-stream")) {
    return response.json();
  }
  for await (const { event, data } of events(response.body, signal)) {
    if (event === "partial") onText(data.text);
    else if (event === "done") return data;
    else if (event === "error") throw new Refused(0, data.error.type, data.error.message);
  }
  throw new Unreachable("The connection ended before the answer did.");
}

/** What happens inside the model while it translates a sentence. */
export async function trace(body, options) {
  return post("v1/trace", body, options);
}

/** What a model of symbols or of vectors answers. */
export async function transduce(body, options) {
  return post("v1/transduce", body, options);
}

async function post(path, body, { key, signal }) {
  const response = await request(path, {
    method: "POST",
    headers: { ...headers(key), "Content-Type": "application/json" },
    body: JSON.stringify(body),
    signal,
  });
  return response.json();
}

function headers(key) {
  return key ? { Authorization: `Bearer ${key}` } : {};
}

async function request(path, init) {
  let response;
  try {
    // Relative, so that the page also works behind a proxy that adds a path prefix.
    response = await fetch(path, { ...init, cache: "no-store", credentials: "same-origin" });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new Unreachable("The server cannot be reached.");
  }
  if (response.ok) return response;
  throw await refusal(response);
}

async function refusal(response) {
  const seconds = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
  const retryAfter = Number.isFinite(seconds) ? seconds : null;
  try {
    const { error } = await response.json();
    return new Refused(response.status, error.type, error.message, retryAfter);
  } catch {
    const message = `The server answered ${response.status}.`; // some proxy on the way
    return new Refused(response.status, "unknown", message, retryAfter);
  }
}

/** The server-sent events of a body, one after the other. */
async function* events(body, signal) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let waiting = "";
  for (;;) {
    const { value, done } = await next(reader, signal);
    if (done) return;
    const blocks = (waiting + value).split(/\r?\n\r?\n/);
    waiting = blocks.pop();
    for (const block of blocks) {
      const parsed = parse(block);
      if (parsed) yield parsed;
    }
  }
}

async function next(reader, signal) {
  try {
    return await reader.read();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Unreachable("The connection broke before the answer was complete.");
  }
}

function parse(block) {
  let event = "message";
  const data = [];
  for (const line of block.split(/\r?\n/)) {
    const [, name, value] = /^([^:]*):? ?(.*)$/.exec(line);
    if (name === "event") event = value;
    else if (name === "data") data.push(value);
  }
  return data.length ? { event, data: JSON.parse(data.join("\n")) } : null; // else a comment
}
