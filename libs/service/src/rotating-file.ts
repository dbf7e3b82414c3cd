// A log file of bounded size. winston's own file transport loses some fifty lines each time it rotates; this one loses none.
// It writes synchronously: a few kilobytes for the page cache cost less than handing them to another thread, and a crash of the process loses nothing that was written.
import { closeSync, fstatSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';

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
 * Appends what is written to it, never fails, and begins a new file between two writes only: what cannot be written is dropped and reported.
 *
 * @throws the system's error when the file cannot be opened at first.
 */
export class RotatingFile {
  readonly #options: RotatingFileOptions;
  #descriptor: number;
  #bytes: number;

  constructor(options: RotatingFileOptions) {
    this.#options = options;
    this.#descriptor = openSync(options.path, 'a');
    this.#bytes = fstatSync(this.#descriptor).size;
  }

  write(text: string): void {
    try {
      this.#append(Buffer.from(text));
    } catch (error) {
      this.#options.onError(error as Error);
    }
  }

  /** The last call. */
  close(): void {
    closeSync(this.#descriptor);
  }

  #append(bytes: Buffer): void {
    if (this.#bytes > 0 && this.#bytes + bytes.length > this.#options.bytesMax) this.#rotate();
    for (let offset = 0; offset < bytes.length; ) {
      const written = writeSync(this.#descriptor, bytes, offset);
      offset += written;
      this.#bytes += written;
    }
  }

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
