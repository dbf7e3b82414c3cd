import { mkdirSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mayReplace } from '@strife/two-phase-commit';
import { auditStores } from './audit/audit-stores.ts';
import { openDecisionLog } from './decision-log.ts';
import { idOf, idsInDoubt, openBank } from './testing/bank-kit.ts';
import { temporaryDirectory, type TemporaryDirectory } from './testing/temporary-directory.ts';
import { startWriter } from './testing/writer-process.ts';

const BATCH = 50;

function failLoudly(error: Error): void {
  throw error;
}

/** The number in the last line that starts with `word`. */
function last(lines: readonly string[], word: string): number {
  return Number(lines.findLast((line) => line.startsWith(`${word} `))?.slice(word.length + 1) ?? -1);
}

describe('a process killed in the middle of its writes', () => {
  let directory: TemporaryDirectory;
  let file: string;

  beforeEach(() => {
    directory = temporaryDirectory();
    mkdirSync(directory.file('data'));
    file = directory.file('data/store.sqlite');
  });
  afterEach(() => directory.remove());

  it.each([1, 4, 9])('after %i batches leaves whole batches, and all that it told of', async (batches) => {
    const writer = startWriter('books', file);
    await writer.heard(`settled ${batches}`);
    await writer.kill();
    const [prepared, settled] = [last(writer.lines, 'prepared'), last(writer.lines, 'settled')];

    // An audit may read what is left before anyone recovers it.
    expect(auditStores({ banks: [file], gateways: [] }).violations).toEqual([]);
    const store = openBank(file, 'alpha');
    const legs = Array.from({ length: (settled + 3) * BATCH }, (_, n) => store.transfer(idOf(n))).filter((leg) => leg !== undefined);
    const counts = { prepared: idsInDoubt(store).length, committed: legs.filter(({ state }) => state.kind === 'committed').length };
    expect([counts.prepared % BATCH, counts.committed % BATCH]).toEqual([0, 0]);
    expect(counts.committed).toBeGreaterThanOrEqual((settled + 1) * BATCH);
    expect(legs.length).toBeGreaterThanOrEqual((prepared + 1) * BATCH);
    const alice = store.account('customer', 'alice')!;
    expect(alice.posted).toBe(10n ** 12n - BigInt(counts.committed));
    expect(alice.held).toBe(BigInt(counts.prepared));
    expect(store.starts.since(0, 10).map(({ before }) => before.kind)).toEqual(['nothing', 'unclean']);
    store.close();
    expect(auditStores({ banks: [file], gateways: [] }).violations).toEqual([]);
  });

  it('leaves every decision that it told of', async () => {
    const writer = startWriter('log', file);
    await writer.heard('decided 5');
    await writer.kill();
    const decided = last(writer.lines, 'decided');
    const log = openDecisionLog({ file, nowMs: () => 0, mayReplace, onFatal: failLoudly });
    expect(log.count() % BATCH).toBe(0);
    expect(log.count()).toBeGreaterThanOrEqual((decided + 1) * BATCH);
    expect((await log.unfinished(1_000_000)).length).toBe(log.count());
    log.close();
  });

  it('is stopped by a disk that fills up, once, and loses nothing that it told of', async () => {
    const writer = startWriter('books', file, 'trap "" XFSZ; ulimit -f 400;');
    await writer.ended;
    expect(writer.lines.filter((line) => line.startsWith('fatal: '))).toHaveLength(1);
    expect(writer.lines.at(-1)).toMatch(/^stopped: StoreFailedError: .*failed in writing/);
    const settled = last(writer.lines, 'settled');
    expect(settled).toBeGreaterThan(0);
    const store = openBank(file, 'alpha');
    expect(store.account('customer', 'alice')!.posted).toBeLessThanOrEqual(10n ** 12n - BigInt((settled + 1) * BATCH));
    store.close();
    expect(auditStores({ banks: [file], gateways: [] }).violations).toEqual([]);
  });

  it('says in one line that there is no room for a new store', async () => {
    const writer = startWriter('books', file, 'trap "" XFSZ; ulimit -f 0;');
    await writer.ended;
    expect(writer.lines).toEqual([expect.stringMatching(/^stopped: StoreError: .*store\.sqlite.* cannot be (opened|written|read or written)/)]);
    openBank(file, 'alpha').close();
  });
});

describe('an audit', () => {
  it('reads a store that is being written, and stays consistent', async () => {
    const directory = temporaryDirectory();
    const file = directory.file('store.sqlite');
    const writer = startWriter('books', file);
    await writer.heard('settled 2');
    const reports = [1, 2, 3].map(() => auditStores({ banks: [file], gateways: [] }));
    await writer.kill();
    for (const { violations } of reports) expect(violations).toEqual([]);
    expect(reports[0]!.banks[0]!.legs).toBeGreaterThan(2 * BATCH);
    expect(new DatabaseSync(file).prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' });
    directory.remove();
  });
});
