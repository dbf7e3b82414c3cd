// The `strife` command as a person runs it: a process of its own, with a home of its own.

import { spawn } from 'node:child_process';
import { join, resolve } from 'node:path';
import { compileCache } from './compile-cache.ts';

export interface CommandResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs `strife <args>` and resolves when it has ended. */
export type StrifeCommand = (args: readonly string[], options?: CommandOptions) => Promise<CommandResult>;

const bin = resolve(import.meta.dirname, '../../../client/bin/strife.mjs');

/** A person's command line: `home` keeps their session, the profile says where the gateways are. */
export function strifeCommand({ home, profileFile }: { home: string; profileFile: string }): StrifeCommand {
  const directories = Object.fromEntries(['CONFIG', 'STATE', 'DATA', 'CACHE'].map((kind) => [`XDG_${kind}_HOME`, join(home, kind.toLowerCase())]));
  const common = { PATH: process.env['PATH'] ?? '', HOME: home, ...directories, STRIFE_PROFILE: profileFile, NO_COLOR: '1', TZ: 'UTC', ...compileCache };
  return (args, { input = '', env = {} } = {}) =>
    new Promise((settle, fail) => {
      const child = spawn(process.execPath, [bin, ...args], { cwd: home, stdio: ['pipe', 'pipe', 'pipe'], env: { ...common, ...env } });
      let stdout = '';
      let stderr = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
      child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
      child.once('error', fail).once('close', (code) => settle({ code, stdout, stderr }));
      child.stdin.on('error', () => undefined).end(input);
    });
}

/** The documents that `--json` printed, one a line. */
export function documentsOf({ stdout }: CommandResult): Record<string, unknown>[] {
  return stdout.split('\n').filter(Boolean).map((line) => JSON.parse(line) as Record<string, unknown>);
}
