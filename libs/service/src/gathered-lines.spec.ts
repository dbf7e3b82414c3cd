// What reaches a file or a terminal, and in how many writes.
import { describe, expect, it } from '@jest/globals';
import { GatheredLines } from './gathered-lines.ts';

function open(): { lines: GatheredLines; written: string[] } {
  const written: string[] = [];
  return { lines: new GatheredLines((text) => written.push(text)), written };
}

describe('gathered lines', () => {
  it('are written together, in order, once a turn', async () => {
    const { lines, written } = open();
    lines.add('one');
    lines.add('two');
    expect(written).toEqual([]);
    await new Promise((resolve) => setImmediate(resolve));
    expect(written).toEqual(['one\ntwo\n']);
    lines.close();
  });

  it('are written before the process exits, and before the log is closed', () => {
    const { lines, written } = open();
    lines.add('one');
    for (const listener of process.listeners('exit').slice(-1)) listener(0);
    expect(written).toEqual(['one\n']);
    lines.add('two');
    lines.close();
    expect(written).toEqual(['one\n', 'two\n']);
  });
});
