// Where words go: results to stdout, messages to stderr. With --json a result is one versioned document on one line.

import pc from 'picocolors';
import { printable } from './format.ts';
import type { Failure } from './failure.ts';

/** The version of every JSON document. Fields may be added under the same version; none is removed or changed. */
const DOCUMENT_VERSION = 1;

export type Document = Record<string, unknown>;
export type Colors = ReturnType<typeof pc.createColors>;

export interface OutputOptions {
  json: boolean;
  quiet: boolean;
  verbose: boolean;
  color: 'auto' | 'always' | 'never';
}

export interface Output {
  readonly json: boolean;
  /** Messages are shown: neither --quiet nor --json. */
  readonly isTalkative: boolean;
  readonly colors: Colors;
  /** Nobody reads the results any more, as after `head`. */
  readonly isReaderGone: boolean;
  /** A result, or one of a stream of them: the document with --json, else the text. */
  result(document: Document, text: () => string): void;
  /** Something for the person at the terminal: what happened, what next. Not with --quiet or --json. */
  message(text: string): void;
  /** Where a setting came from and the like. Only with --verbose. */
  detail(text: string): void;
  /** What went wrong: always said, as a document with --json. */
  failure(failure: Failure, error: unknown, extra?: Document): void;
}

export function createOutput(options: OutputOptions): Output {
  const { stdout, stderr } = process;
  const colors = pc.createColors(wantsColor(options.color));
  const printDocument = (document: Document): void => {
    stdout.write(`${JSON.stringify({ version: DOCUMENT_VERSION, ...document }, bigintAsText)}\n`);
  };
  return {
    json: options.json,
    isTalkative: !options.quiet && !options.json,
    colors,
    get isReaderGone() {
      return !stdout.writable;
    },
    result(document, text) {
      if (options.json) printDocument(document);
      else stdout.write(`${text()}\n`);
    },
    message(text) {
      if (!options.quiet && !options.json) stderr.write(`${text}\n`);
    },
    detail(text) {
      if (options.verbose) stderr.write(`${colors.dim(text)}\n`);
    },
    failure({ message, hint, document }, error, extra = {}) {
      if (options.json) printDocument({ ...extra, error: document });
      else stderr.write(`${colors.red('error:')} ${printable(message)}\n${hint ? `${hint}\n` : ''}`);
      if (options.verbose && error instanceof Error) stderr.write(`${colors.dim(error.stack ?? '')}\n`);
    },
  };
}

/** https://no-color.org: set and not empty means no. */
function wantsColor(when: OutputOptions['color']): boolean {
  if (when !== 'auto') return when === 'always';
  return process.stdout.isTTY && !process.env['NO_COLOR'] && process.env['TERM'] !== 'dumb';
}

function bigintAsText(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}
