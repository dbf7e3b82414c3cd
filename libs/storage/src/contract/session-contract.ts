// What every driver of a bank's books must pass about login sessions.

import { describe, expect, it } from '@jest/globals';
import type { LedgerStore } from '../ledger-store.ts';
import type { SessionRow } from '../session-store.ts';

export function sessionClaims(books: { store: () => LedgerStore; reopen: () => void }): void {
  const row = (id: string, changes: Partial<SessionRow> = {}): SessionRow => ({
    id, account: 'alice', generation: 1, requestDigest: null, createdAtMs: 1_000, expiresAtMs: 9_000, endedAtMs: null, ...changes,
  });
  const sessions = () => books.store().sessions;
  const kept = (...ids: string[]) => ids.filter((id) => sessions().find(id) !== undefined);

  describe('login sessions', () => {
    it('are found as they were last written', () => {
      sessions().insert(row('one'), 10);
      books.reopen();
      expect(sessions().find('one')).toEqual(row('one'));
      expect(sessions().find('other')).toBeUndefined();
      sessions().advance('one', 2, 'digest');
      books.reopen();
      expect(sessions().find('one')).toEqual(row('one', { generation: 2, requestDigest: 'digest' }));
    });

    it('are ended once, and told of as long as they are asked for', () => {
      for (const id of ['one', 'two', 'three']) sessions().insert(row(id), 10);
      sessions().end('one', 2_000);
      sessions().end('one', 5_000);
      sessions().end('two', 3_000);
      sessions().end('unknown', 3_000);
      books.reopen();
      expect(sessions().find('one')?.endedAtMs).toBe(2_000);
      expect(sessions().endedAfter(1_999).map(({ id }) => id).sort()).toEqual(['one', 'two']);
      expect(sessions().endedAfter(2_000)).toEqual([{ id: 'two', endedAtMs: 3_000 }]);
    });

    it('are removed when they are over for long enough', () => {
      sessions().insert(row('ended'), 10);
      sessions().insert(row('expired', { expiresAtMs: 4_000 }), 10);
      sessions().insert(row('ended later'), 10);
      sessions().insert(row('goes on'), 10);
      sessions().end('ended', 4_000);
      sessions().end('ended later', 4_001);
      sessions().removeOver(4_000);
      books.reopen();
      expect(kept('ended', 'expired', 'ended later', 'goes on')).toEqual(['ended later', 'goes on']);
    });

    it('expire, the oldest of an account first, when it has more than may go on', () => {
      sessions().insert(row('of another', { account: 'bob' }), 2);
      sessions().insert(row('ended', { endedAtMs: 500 }), 2);
      sessions().insert(row('first'), 2);
      sessions().insert(row('second'), 2);
      sessions().insert(row('third', { createdAtMs: 2_000 }), 2);
      sessions().insert(row('fourth', { createdAtMs: 3_000 }), 2);
      books.reopen();
      const expiries = ['of another', 'ended', 'first', 'second', 'third', 'fourth'].map((id) => sessions().find(id)?.expiresAtMs);
      expect(expiries).toEqual([9_000, 9_000, 2_000, 3_000, 9_000, 9_000]);
    });
  });
}
