// The only module that calls the server's HTTP API. What each call takes and answers: docs/http-api.md.

import { t, hasText, problemText } from "./texts.js";

const PATIENCE_MS = 10_000;
/** Of what tells how far it is. */
const LONG_PATIENCE_MS = 30_000;

/** An answer that is not a success. `status` 0: no answer came, and whether it was acted upon is unknown. */
export class ApiError extends Error {
  constructor(status, body, retryAfterS = 0) {
    super(body.error ?? String(status));
    this.status = status;
    /** Stable, for programs. */
    this.code = body.code ?? "";
    this.body = body;
    /** How long to wait before another attempt, where the answer says so; else 0. */
    this.retryAfterS = retryAfterS;
    /** `[{field, message, message_vi}]`. */
    this.problems = body.problems ?? (body.field ? [{ field: body.field, message: body.error }] : []);
  }

  /** A sentence for people, in their language where there is one. */
  get text() {
    if (this.problems.length > 0) return this.problems.map(problemText).join("; ");
    const key = `common.error_${this.code}`;
    return hasText(key) ? t(key) : this.message;
  }
}

/** Fires after that time. Browsers have this themselves, but only since 2022. */
function abortedAfter(ms) {
  const controller = new AbortController();
  setTimeout(() => controller.abort(), ms);
  return controller.signal;
}

let askLogin = null;

/** What to do when a call needs a login: `ask()` gives true once somebody logged in, and the call is made again. */
export function onLoginNeeded(ask) {
  askLogin = ask;
}

async function call(method, path, body) {
  try {
    return await callOnce(method, path, body);
  } catch (error) {
    // Who is logged in may speak for a gate without its key.
    const wantsLogin = ["login_required", "edge_key_required"].includes(error.code) && method !== "GET";
    if (!wantsLogin || !askLogin || !await askLogin()) throw error;
    return callOnce(method, path, body);
  }
}

async function callOnce(method, path, body) {
  const options = { method, signal: abortedAfter(PATIENCE_MS), headers: {} };
  if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  const nothing = () => { throw new ApiError(0, { code: "no_answer", error: t("common.error_no_answer") }); };
  const answer = await fetch(path, options).catch(nothing);
  if (!answer.ok) throw new ApiError(answer.status, await answer.json().catch(() => ({})), Number(answer.headers.get("Retry-After") ?? 0));
  // One that breaks off in its middle is none.
  return answer.json().catch(nothing);
}

/** A call whose answer comes as lines of JSON; `each` hears of those before the last, which is the answer. */
export async function postLines(path, each) {
  let rest = "";
  let answer = {};
  try {
    const response = await fetch(path, { method: "POST", signal: abortedAfter(LONG_PATIENCE_MS) });
    if (!response.ok) throw new ApiError(response.status, await response.json().catch(() => ({})));
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      const lines = (rest + part.value).split("\n");
      rest = lines.pop();
      for (const line of lines) {
        answer = JSON.parse(line);
        if (!("success" in answer)) each(answer);
      }
    }
  } catch (error) {
    if (error instanceof ApiError) throw error;
    throw new ApiError(0, { code: "no_answer", error: t("common.error_no_answer") });
  }
  if (!answer.success) throw new ApiError(200, answer);
  return answer;
}

export const get = (path) => call("GET", path);
export const post = (path, body = {}) => call("POST", path, body);
export const put = (path, body) => call("PUT", path, body);
/** `body`: some removals want a reason. */
export const remove = (path, body) => call("DELETE", path, body);

/** A path with its query: `query("/api/parking/history", {limit: 50, search: "29A"})`; what is empty is left out. */
export function query(path, values) {
  const given = Object.entries(values).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return given.length === 0 ? path : `${path}?${new URLSearchParams(given)}`;
}
