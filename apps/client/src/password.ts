// Where the password comes from: stdin, a variable, or a prompt. Never a flag, which other users and the history would see.

import type { Context } from './context.ts';
import { UsageError } from './failure.ts';

const PASSWORD_BYTES_MAX = 4096;

/** The password for `account`. Throws UsageError if there is no way to get one. */
export async function askPassword(context: Context, account: string, fromStdin: boolean): Promise<string> {
  if (fromStdin) return readStdin();
  const fromVariable = passwordVariable();
  if (fromVariable !== undefined) return fromVariable;
  if (!context.isInteractive) {
    throw new UsageError('there is no password', {
      field: 'password',
      hint: 'Give it by --password-stdin or STRIFE_PASSWORD, or log in at a terminal.',
    });
  }
  const { promptPassword } = await import('./prompts.ts');
  return promptPassword(`Password of ${account}`);
}

/** What STRIFE_PASSWORD says; an empty variable counts as unset, as with all settings. */
export function passwordVariable(): string | undefined {
  return process.env['STRIFE_PASSWORD'] || undefined;
}

/** All of stdin but one line end. Throws UsageError for what cannot be a password. */
async function readStdin(): Promise<string> {
  const password = (await readStdinText()).replace(/\r?\n$/, '');
  if (password === '') throw new UsageError('the password on stdin is empty', { field: 'password' });
  return password;
}

/** All of stdin, which must be UTF-8: a password in another encoding would be taken for a wrong one. */
export async function readStdinText(): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > PASSWORD_BYTES_MAX) throw new UsageError('the password on stdin is too long', { field: 'password' });
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.concat(chunks));
  } catch (cause) {
    throw new UsageError('the password on stdin is not UTF-8', { field: 'password', cause });
  }
}
