// For tests: a command on a real terminal of its own, and what a person would see on its screen.

import { execFileSync, spawn } from 'node:child_process';
import xterm from '@xterm/headless';
import { describe } from '@jest/globals';

const PATIENCE_MS = 30_000;
const ROWS = 40;

export interface TerminalOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Characters in a line. */
  readonly columns?: number;
}

export interface TestTerminal {
  /** As typed on the keyboard: `\r` is Enter, `\x03` is Ctrl-C. */
  type(keys: string): void;
  /** The lines on the screen and above it, without the empty ones at the end; what was wrapped is one line. */
  screen(): string[];
  /** All that was ever written, with its control sequences. */
  written(): string;
  /** Resolves once the screen, its lines joined, matches; rejects with what is on it when the command ends before that. */
  until(pattern: RegExp): Promise<void>;
  readonly exited: Promise<number | null>;
}

/** As `describe`, for tests that need a terminal; where none can be had they are reported as skipped, and in continuous integration they fail. */
export function describeOnTerminal(name: string, tests: () => void): void {
  if (hasScript() || process.env['CI'] === 'true') describe(name, tests);
  else describe.skip(`${name} (needs the program script of util-linux)`, tests);
}

function hasScript(): boolean {
  try {
    return execFileSync('script', ['--version'], { encoding: 'utf8' }).includes('util-linux');
  } catch {
    return false;
  }
}

/** Runs a shell command on a terminal. */
export function onTerminal(command: string, { env, cwd, columns = 100 }: TerminalOptions): TestTerminal {
  const sized = `stty cols ${columns} rows ${ROWS}; ${command}`;
  const child = spawn('script', ['-qfec', sized, '/dev/null'], { cwd, env: { ...env, TERM: 'xterm', SHELL: '/bin/sh' } });
  const emulator = new xterm.Terminal({ cols: columns, rows: ROWS, allowProposedApi: true });
  const watchers = new Set<() => void>();
  let written = '';
  let isOver = false;
  child.stdin.on('error', () => undefined);
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    written += text;
    emulator.write(text, () => watchers.forEach((look) => look()));
  });
  const exited = new Promise<number | null>((resolve) => {
    child.once('close', (code) => emulator.write('', () => {
      isOver = true;
      watchers.forEach((look) => look());
      resolve(code);
    }));
  });

  function screen(): string[] {
    const buffer = emulator.buffer.active;
    const lines: string[] = [];
    for (let index = 0; index < buffer.length; index += 1) {
      const line = buffer.getLine(index)!;
      const isContinued = buffer.getLine(index + 1)?.isWrapped === true;
      const text = line.translateToString(!isContinued);
      if (line.isWrapped) lines.push(`${lines.pop()}${text}`);
      else lines.push(text);
    }
    while (lines.at(-1)?.trim() === '') lines.pop();
    return lines;
  }

  return {
    type: (keys) => void child.stdin.write(keys),
    screen,
    written: () => written,
    until: (pattern) =>
      new Promise((resolve, reject) => {
        const end = (settle: () => void): void => {
          clearTimeout(timer);
          watchers.delete(look);
          settle();
        };
        const fail = (why: string): void => end(() => reject(new Error(`${why}, without ${String(pattern)} on the screen:\n${screen().join('\n')}`)));
        const timer = setTimeout(() => fail('waited long enough'), PATIENCE_MS);
        const look = (): void => {
          if (pattern.test(screen().join('\n'))) end(resolve);
          else if (isOver) fail('the command ended');
        };
        watchers.add(look);
        look();
      }),
    exited,
  };
}
