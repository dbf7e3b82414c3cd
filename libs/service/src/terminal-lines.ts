// Lines for a terminal, gathered: what is logged in one turn of the event loop is written at once. A write to a terminal or a pipe blocks, and
// one for each line costs as much as all the rest of logging it.
import { Writable } from 'node:stream';

/** Never fails, and loses nothing when the process exits by itself. */
export class TerminalLines extends Writable {
  readonly #to: NodeJS.WriteStream;
  readonly #writeNow = (): void => this.#flush();
  #gathered = '';

  constructor(to: NodeJS.WriteStream) {
    super({ decodeStrings: false });
    this.#to = to;
    process.on('exit', this.#writeNow);
  }

  override _write(line: string, _encoding: BufferEncoding, done: () => void): void {
    if (this.#gathered === '') setImmediate(this.#writeNow);
    this.#gathered += line;
    done();
  }

  override _final(done: () => void): void {
    this.#flush();
    process.off('exit', this.#writeNow);
    done();
  }

  #flush(): void {
    if (this.#gathered === '') return;
    this.#to.write(this.#gathered);
    this.#gathered = '';
  }
}
