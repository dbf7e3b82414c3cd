import { describe, expect, it } from '@jest/globals';
import { mayReplace } from '@strife/two-phase-commit';
import { decisionLogContract } from './contract/decision-log-contract.ts';
import { openDecisionLog } from './decision-log.ts';
import { temporaryDirectory } from './testing/temporary-directory.ts';

function failLoudly(error: Error): void {
  throw error;
}

decisionLogContract(() => {
  const directory = temporaryDirectory();
  return {
    open: (nowMs) => openDecisionLog({ file: directory.file('gateway.sqlite'), nowMs, mayReplace, onFatal: failLoudly }),
    dispose: () => directory.remove(),
  };
});

describe('the SQLite decision log', () => {
  it('takes the name it is given, and no other after that', () => {
    const directory = temporaryDirectory();
    const open = (logId?: string) =>
      openDecisionLog({ file: directory.file('g.sqlite'), nowMs: () => 0, mayReplace, onFatal: failLoudly, ...(logId === undefined ? {} : { logId }) });
    open('one').close();
    const again = open();
    expect(again.logId).toBe('one');
    again.close();
    expect(() => open('two')).toThrow('is the gateway store of "one"; expected the gateway store of "two"');
    directory.remove();
  });
});
