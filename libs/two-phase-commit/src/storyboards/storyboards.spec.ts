import { readFileSync, readdirSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { play } from './script.ts';

const FOLDER = new URL('.', import.meta.url);
const files = readdirSync(FOLDER).filter((name) => name.endsWith('.txt')).sort();

describe('storyboards', () => {
  it.each(files)('%s plays as written', (file) => {
    const text = readFileSync(new URL(file, FOLDER), 'utf8');
    expect(text).toMatch(/^# \S/);
    expect(text).toContain('expect ');
    play(file, text);
  });

  it('covers every story that the protocol tells', () => {
    expect(files).toEqual(expect.arrayContaining([
      'happy-path.txt', 'decline.txt', 'timeout.txt', 'late-prepare.txt', 'gateway-crash-before-decision.txt',
      'gateway-crash-after-decision.txt', 'bank-crash-after-yes.txt', 'duplicate.txt', 'another-body.txt',
      'two-coordinators-one-log.txt', 'two-coordinators-two-logs.txt', 'inquiry.txt', 'one-phase.txt', 'sticky-decline.txt', 'fence-jump.txt',
      'expired.txt',
    ]));
  });
});

describe('a storyboard that is wrong', () => {
  const setting = 'gateway g1 log L1\nbank alpha\nbank beta\n';

  it.each([
    ['an unknown command', 'wait 5', 'board.txt:4: wait 5: unknown command'],
    ['an unmet expectation', 'expect alpha t1 prepared attempt=1 log=L1', 'board.txt:4: expect alpha t1 prepared attempt=1 log=L1: it is: absent'],
    ['a message that was never sent', 'deliver g1 -> alpha commit', 'board.txt:4: deliver g1 -> alpha commit: no such message; there are: empty'],
    ['an unknown name', 'crash gamma', 'board.txt:4: crash gamma: nothing is named gamma'],
    ['a move of a program that is down', 'crash g1\nclient -> g1 create t1 alpha/a -> beta/b 1', 'board.txt:5: client -> g1 create t1 alpha/a -> beta/b 1: g1 is down'],
  ])('fails with its file and line: %s', (_, line, message) => {
    expect(() => play('board.txt', setting + line)).toThrow(message);
  });
});
