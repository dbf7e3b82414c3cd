// What every command is given.

import type { Output } from './output.ts';
import type { Settings } from './settings.ts';

export interface Context {
  readonly output: Output;
  readonly settings: Settings;
  /** A person can be asked: both ends are a terminal, and neither --no-input nor --json was given. */
  readonly isInteractive: boolean;
  /** Aborts on Ctrl-C. */
  readonly signal: AbortSignal;
}
