// A log file of bounded size. winston's own file transport loses some fifty lines each time it rotates; this one loses none.
import { closeSync, fstatSync, openSync, renameSync, rmSync, write } from 'node:fs';
import { Writable } from 'node:stream';

export interface RotatingFileOptions {
  /** `logs/bank-alpha.log`; its predecessors are `bank-alpha.log.1`, the youngest, and so on. */
  path: string;
  /** A new file is begun when this one would grow over it. */
  bytesMax: number;
  /** With the current one. */
  filesMax: number;
  /** Told of lines that could not be written: a full disk. The next lines are tried again. */
  onError: (error: Error) => void;
}

/**
 * Appends what is written to it, whole chunks only, and never fails: what cannot be written is dropped and reported.
 *
 * @throws the system's error when the file cannot be opened at first.
 */
export class RotatingFile extends Writable {
  readonly #options: RotatingFileOptions;
  #descriptor: number;
  #bytes: number;

  constructor(options: RotatingFileOptions) {
    super({ decodeStrings: true });
    this.#options = options;
    this.#descriptor = openSync(options.path, 'a');
    this.#bytes = fstatSync(this.#descriptor).size;
  }

  override _writev(chunks: { chunk: Buffer }[], done: () => void): void {
    this.#append(Buffer.concat(chunks.map(({ chunk }) => chunk)))
      .catch((error: Error) => this.#options.onError(error))
      .finally(done);
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this._writev([{ chunk }], done);
  }

  override _final(done: () => void): void {
    closeSync(this.#descriptor);
    done();
  }

  async #append(bytes: Buffer): Promise<void> {
    if (this.#bytes > 0 && this.#bytes + bytes.length > this.#options.bytesMax) this.#rotate();
    for (let offset = 0; offset < bytes.length; ) {
      const written = await writeOnce(this.#descriptor, bytes, offset);
      offset += written;
      this.#bytes += written;
    }
  }

  /** Renaming is synchronous: it happens once in 64 MiB, and nothing may come between its steps. */
  #rotate(): void {
    const { path, filesMax } = this.#options;
    const nth = (index: number) => (index === 0 ? path : `${path}.${index}`);
    rmSync(nth(filesMax - 1), { force: true });
    for (let index = filesMax - 2; index >= 0; index -= 1) {
      try {
        renameSync(nth(index), nth(index + 1));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      }
    }
    const next = openSync(path, 'a');
    closeSync(this.#descriptor);
    this.#descriptor = next;
    this.#bytes = 0;
  }
}

function writeOnce(descriptor: number, bytes: Buffer, offset: number): Promise<number> {
  return new Promise((resolve, reject) => {
    write(descriptor, bytes, offset, bytes.length - offset, null, (error, written) => (error === null ? resolve(written) : reject(error)));
  });
}
