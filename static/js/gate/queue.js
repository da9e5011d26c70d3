// The reads of one camera that wait for the person at the gate. Pure: tests/browser/units.test.mjs runs it without a browser.
//
// Always: a car that was let through or skipped does not come back because its camera reads it once more; what waits keeps its
// place, new reads stand at the end.

import { near } from "./plates.js";

/** A car nobody dealt with for so long has driven away. */
const WAITING_MS = 10 * 60_000;
/** A camera goes on reading a car that was let through while it stands in the gate. */
const SAME_CAR_MS = 60_000;
/** Two readings so soon after each other that differ in one sign are one car, misread. */
const MISREAD_MS = 15_000;
/** What was read longer ago is not taken in hand by itself: its car may have driven away unnoticed. */
const FRESH_MS = 60_000;
/** As long as a person may need to find out under which plate a misread car is inside. */
const SOUGHT_MS = 3 * 60_000;

/** A read is `{plate, view, type, confidence, firstMs, lastMs}`. */
export class Queue {
  #reads = new Map();
  /** Plate to when it was dealt with. */
  #settled = new Map();
  #skipped = null;

  /** What the camera read lately, as the status feed tells it. */
  hear(seen) {
    for (const { plate_id: plate, plate_view: view, camera_type: type, confidence, at_ms: atMs } of seen) {
      const settledMs = this.#settled.get(plate);
      if (settledMs !== undefined && atMs < settledMs + SAME_CAR_MS) continue;
      const known = this.#reads.get(plate);
      const isSame = known && atMs - known.lastMs < WAITING_MS;
      if (known && !isSame) this.#reads.delete(plate);
      this.#reads.set(plate, { plate, view, type, confidence: confidence ?? null, firstMs: isSame ? known.firstMs : atMs, lastMs: Math.max(atMs, known?.lastMs ?? 0) });
    }
  }

  /** That car was dealt with at `ms`: it and its misreadings wait no more. */
  settle(plate, ms) {
    if ((this.#settled.get(plate) ?? 0) >= ms) return;
    this.#settled.set(plate, ms);
    for (const read of this.#reads.values()) {
      const isIt = read.plate === plate && read.firstMs < ms + SAME_CAR_MS;
      const isMisread = near(read.plate, plate) && read.lastMs < ms + MISREAD_MS && read.lastMs > ms - SOUGHT_MS;
      if (isIt || isMisread) this.#reads.delete(read.plate);
      if (isMisread) this.#settled.set(read.plate, ms);
    }
    if (this.#skipped?.plate === plate) this.#skipped = null;
    for (const [known, settledMs] of this.#settled) if (settledMs < ms - WAITING_MS) this.#settled.delete(known);
  }

  /** It drove away without passing. */
  skip(plate, ms) {
    const read = this.#reads.get(plate);
    if (!read) return;
    // Alone: what reads almost the same may be its right plate.
    this.#reads.delete(plate);
    this.#settled.set(plate, ms);
    this.#skipped = read;
  }

  /** What was skipped last, while that can be undone; else null. */
  get skipped() {
    return this.#skipped;
  }

  /** Puts what was skipped last back, at the front: it has waited longest. Gives that read. */
  unskip() {
    const read = this.#skipped;
    if (!read) return null;
    this.#skipped = null;
    this.#settled.delete(read.plate);
    this.#reads = new Map([[read.plate, read], ...this.#reads]);
    return read;
  }

  /** Whether its car surely stands there. */
  static isFresh(read, nowMs) {
    return nowMs - read.lastMs < FRESH_MS;
  }

  /** Who comes after the car read as `plate`: the first that surely stands there, else the first of those that wait; null: nobody. */
  next(nowMs, plate = null) {
    const others = this.waiting(nowMs).filter((read) => read.plate !== plate);
    return others.find((read) => Queue.isFresh(read, nowMs)) ?? others[0] ?? null;
  }

  /** Those that wait, the first to come first. */
  waiting(nowMs) {
    for (const read of this.#reads.values()) if (nowMs - read.lastMs > WAITING_MS) this.#reads.delete(read.plate);
    return [...this.#reads.values()];
  }
}
