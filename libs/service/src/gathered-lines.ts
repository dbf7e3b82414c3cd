// Lines, gathered: what is logged in one turn of the event loop is written at once. A write for each line costs as much as all the rest of
// logging it.

/** Loses nothing when the process exits by itself. */
export class GatheredLines {
  readonly #write: (lines: string) => void;
  readonly #writeNow = (): void => this.#flush();
  #gathered = '';

  /** @param write Told to write whole lines; never fails. */
  constructor(write: (lines: string) => void) {
    this.#write = write;
    process.on('exit', this.#writeNow);
  }

  /** @param line Without its end. */
  add(line: string): void {
    if (this.#gathered === '') setImmediate(this.#writeNow);
    this.#gathered += `${line}\n`;
  }

  /** Writes what is left. The last call. */
  close(): void {
    this.#flush();
    process.off('exit', this.#writeNow);
  }

  #flush(): void {
    if (this.#gathered === '') return;
    const lines = this.#gathered;
    this.#gathered = '';
    this.#write(lines);
  }
}
