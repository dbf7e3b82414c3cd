// What reaches the terminal, and in how many writes.
import { describe, expect, it } from '@jest/globals';
import { TerminalLines } from './terminal-lines.ts';

function open(): { lines: TerminalLines; written: string[] } {
  const written: string[] = [];
  const terminal = { write: (text: string) => written.push(text) };
  return { lines: new TerminalLines(terminal as unknown as NodeJS.WriteStream), written };
}

describe('lines for a terminal', () => {
  it('are written together, in order, once a turn', async () => {
    const { lines, written } = open();
    lines.write('one\n');
    lines.write('two\n');
    expect(written).toEqual([]);
    await new Promise((resolve) => setImmediate(resolve));
    expect(written).toEqual(['one\ntwo\n']);
    lines.end();
  });

  it('are written before the process exits, and before the log is closed', async () => {
    const { lines, written } = open();
    lines.write('one\n');
    for (const listener of process.listeners('exit').slice(-1)) listener(0);
    expect(written).toEqual(['one\n']);
    lines.write('two\n');
    await new Promise<void>((resolve) => lines.end(resolve));
    expect(written).toEqual(['one\n', 'two\n']);
  });
});
