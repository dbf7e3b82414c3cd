// The queue against a list: whatever is decided, finished, repeated and reopened, the file says what the list says.

import { it, expect } from '@jest/globals';
import { mayReplace } from '@strife/two-phase-commit';
import type { DecisionRow, Proposal, TransferId } from '@strife/two-phase-commit';
import fc from 'fast-check';
import { openDecisionLog } from './decision-log.ts';
import { temporaryDirectory } from './testing/temporary-directory.ts';

type Step =
  | { readonly kind: 'decide'; readonly count: number; readonly again: readonly number[] }
  /** By their ranks among all that were ever decided; with or without the places of their rows. */
  | { readonly kind: 'finish'; readonly ranks: readonly number[]; readonly placed: boolean }
  | { readonly kind: 'page' }
  | { readonly kind: 'reopen' };

const ranks = fc.array(fc.nat({ max: 60 }), { maxLength: 20 });
const steps: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('decide' as const), count: fc.nat({ max: 12 }), again: fc.array(fc.nat({ max: 60 }), { maxLength: 3 }) }),
  fc.record({ kind: fc.constant('finish' as const), ranks, placed: fc.boolean() }),
  fc.record({ kind: fc.constant('page' as const) }),
  fc.record({ kind: fc.constant('reopen' as const) }),
);

it('keeps what is not delivered, in its order, however it is finished', async () => {
  await fc.assert(fc.asyncProperty(fc.array(steps, { maxLength: 30 }), async (plan) => {
    const directory = temporaryDirectory();
    const open = () => openDecisionLog({
      file: directory.file('g.sqlite'), nowMs: () => 0, mayReplace,
      onFatal: (error) => {
        throw error;
      },
    });
    let log = open();
    /** By rank: each id's row, and whether it waits. */
    const all: { row: DecisionRow; waits: boolean }[] = [];
    const waiting = () => all.filter(({ waits }) => waits).map(({ row }) => row.id);
    try {
      for (const step of plan) {
        if (step.kind === 'decide') await decide(step.count, step.again);
        else if (step.kind === 'finish') await finish(step.ranks, step.placed);
        else if (step.kind === 'page') await page();
        else {
          log.close();
          log = open();
        }
        for (const { row, waits } of all) expect(log.history(row.id, 0)?.isDelivered).toBe(!waits);
      }
      await page();
    } finally {
      log.close();
      directory.remove();
    }

    /** New ids, and the next attempts of some that there are. */
    async function decide(count: number, again: readonly number[]): Promise<void> {
      const retried = [...new Set(again)].filter((rank) => rank < all.length).map((rank) => all[rank]!);
      const begun = Array.from({ length: count }, (_, index) => proposal(all.length + index, 1));
      const rows = await log.decide([...retried.map(({ row }) => ({ ...row, attempt: row.attempt + 1 })), ...begun], []);
      rows.forEach((row, index) => {
        const known = retried[index];
        if (known === undefined) all.push({ row, waits: true });
        else Object.assign(known, { row, waits: true });
      });
    }

    async function finish(finished: readonly number[], placed: boolean): Promise<void> {
      const known = finished.filter((rank) => rank < all.length).map((rank) => all[rank]!);
      await log.decide([], known.map(({ row: { id, attempt, place } }) => ({ id, attempt, place: placed ? place : undefined })));
      for (const each of known) each.waits = false;
    }

    async function page(): Promise<void> {
      const found: TransferId[] = [];
      for (;;) {
        const rows = await log.unfinished(4, found.at(-1));
        found.push(...rows.map(({ id }) => id));
        if (rows.length < 4) break;
      }
      expect(found).toEqual(waiting());
      expect(await log.countUnfinished()).toBe(found.length);
    }
  }), { numRuns: 60 });
});

/** Aborted, so that there may be a next attempt; the ids are not in the order of their places. */
function proposal(rank: number, attempt: number): Proposal {
  const id = `0197b2a0-0000-7000-8000-${((rank * 37) % 1009).toString(16).padStart(12, '0')}`;
  return {
    id, attempt, fingerprint: '00112233445566778899aabbccddeeff', createdAtMs: 0, verdict: { outcome: 'aborted', why: 'timeout' },
    body: { from: { bank: 'alpha', account: 'alice' }, to: { bank: 'beta', account: 'bob' }, currency: 'EUR', amountMinor: 1n, memo: '' },
  };
}
