// Things that are put off together for a few milliseconds, such as log lines: whoever waits for an answer does not wait for them, and a write for
// each costs as much as all the rest. They are handed on after the event loop has sent what it has to send: where a write to a disk took long, the time for
// them has come when its answer has not left yet.

/** So long does the first one wait. */
const GATHER_MS = 5;

/** Loses nothing when the process exits by itself; when it is killed, what came in the last 5 ms. */
export class Gathered<T> {
  readonly #take: (items: readonly T[]) => void;
  readonly #takeNow = (): void => this.#flush();
  readonly #takeLater = (): void => void setImmediate(this.#takeNow).unref();
  #items: T[] = [];

  /** @param take Told all that came since it was told last, in order; never fails. */
  constructor(take: (items: readonly T[]) => void) {
    this.#take = take;
    process.on('exit', this.#takeNow);
  }

  add(item: T): void {
    if (this.#items.push(item) === 1) setTimeout(this.#takeLater, GATHER_MS).unref();
  }

  /** Hands on what is left. The last call. */
  close(): void {
    this.#flush();
    process.off('exit', this.#takeNow);
  }

  #flush(): void {
    const items = this.#items;
    if (items.length === 0) return;
    this.#items = [];
    this.#take(items);
  }
}
