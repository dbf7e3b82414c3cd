import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { runBench, type BenchOptions } from './bench-run.ts';
import { withChildren } from './measure/process-usage.ts';
import { PROFILES } from './profiles.ts';
import { renderHtml } from './report/html.ts';
import { renderTerminal } from './report/terminal.ts';
import { countsAtAll } from './result.ts';

const TIMEOUT_MS = 180_000;

describe('the smallest benchmark', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'bench-'));
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  function options(overrides: Partial<BenchOptions> = {}): BenchOptions {
    return {
      profile: PROFILES.tiny, scenarios: [...'abcdefghi'] as BenchOptions['scenarios'], directory, command: 'test',
      onProgress: () => {}, onSample: () => {}, signal: new AbortController().signal, ...overrides,
    };
  }

  it('measures every scenario over real processes, with clean books at the end and nothing left behind', async () => {
    const result = await runBench(options());
    expect(result.probes.map(({ key }) => key)).toEqual([
      'floor.fdatasync', 'floor.call.1', 'floor.call.64', 'floor.sqlite', 'a.4', 'a.20', 'b', 'b.sdk', 'c.lean.1.decided', 'c.lean.1', 'c.lean.4', 'c.sdk.4', 'd',
      'e.balance', 'e.history', 'f.logins', 'f.calm', 'f.flood', 'g.100.past.300', 'g.100.past.300.oneway', 'h.undecided', 'h.all', 'i.from', 'i.to',
    ]);
    for (const { key, samples } of result.probes) {
      expect({ key, rounds: samples.length, failures: samples[0]?.failures }).toEqual({ key, rounds: 1, failures: {} });
      expect(samples[0]?.seconds).toBeGreaterThan(0);
    }
    expect(result.audits.map(({ problems }) => problems)).toEqual(new Array(4).fill([]));
    expect(result.audits.find(({ stage }) => stage.startsWith('in doubt, decided'))?.transfersChecked).toBe(50);
    expect(countsAtAll(result)).toBe(true);
    expect(renderTerminal(result)).toContain('no PostgreSQL peer: it was not asked for');
    expect(renderHtml(result)).toContain('</html>');
    // Only the books that are kept for the next run.
    expect((await readdir(directory)).every((name) => name.startsWith('books-'))).toBe(true);
  }, TIMEOUT_MS);

  it('stops what it started when it is interrupted', async () => {
    const before = withChildren(process.pid);
    const controller = new AbortController();
    const interrupted = runBench(options({ scenarios: ['b'], signal: controller.signal, onSample: () => controller.abort(new Error('enough')) }));
    await expect(interrupted).rejects.toThrow('enough');
    expect(withChildren(process.pid)).toEqual(before);
    expect((await readdir(directory)).every((name) => name.startsWith('books-'))).toBe(true);
  }, TIMEOUT_MS);
});
