// Where the menu reads from: the terminal, or a pipe whose first line is the password.

import { closeSync, openSync } from 'node:fs';
import { ReadStream } from 'node:tty';
import type { Context } from './context.ts';
import { UsageError } from './failure.ts';
import { readStdinText } from './password.ts';

export interface MenuInput {
  /** Undefined if there is nothing beside the answers. */
  readonly stream: NodeJS.ReadStream | ReadStream | undefined;
  /** The password, where it came by the pipe. */
  readonly password: string | undefined;
  /** What else came by the pipe. */
  readonly answers: readonly string[];
  end(): void;
}

/**
 * With a person at a terminal, that. Else the first line of stdin is the password and the others are answers; if there are none and a
 * terminal can be had, the person goes on there.
 *
 * @param isNamed whether bank and user were given
 * @throws UsageError if nobody can be asked
 */
export async function menuInput(context: Context, isNamed: boolean): Promise<MenuInput> {
  if (context.isInteractive) return { stream: process.stdin, password: undefined, answers: [], end: () => process.stdin.pause() };
  if (!isNamed || process.stdin.isTTY || context.output.json) {
    throw new UsageError('the menu needs a terminal', { hint: 'Name a command; see strife --help' });
  }
  const [password, ...answers] = (await readStdinText()).replace(/\r?\n$/, '').split(/\r?\n/);
  if (password === undefined || password === '') throw new UsageError('the password on stdin is empty', { field: 'password' });
  const terminal = answers.length === 0 ? openTerminal() : undefined;
  const nothingMore = { stream: undefined, password, answers, end: () => undefined };
  return terminal === undefined ? nothingMore : { stream: terminal, password, answers, end: () => void terminal.destroy() };
}

function openTerminal(): ReadStream | undefined {
  if (!process.stderr.isTTY) return undefined;
  let descriptor: number;
  try {
    descriptor = openSync('/dev/tty', 'r+');
  } catch {
    return undefined;
  }
  try {
    return new ReadStream(descriptor);
  } catch {
    closeSync(descriptor);
    return undefined;
  }
}
