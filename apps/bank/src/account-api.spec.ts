// What a bank's record of a transfer tells, and to whom.

import { describe, expect, it } from '@jest/globals';
import type { Grants } from '@strife/auth';
import { reasonOf, transferIdToWire } from '@strife/service';
import { CursorError } from '@strife/storage';
import type { LedgerStore, StoredLeg } from '@strife/storage';
import { DeclineReason, TransferState } from '@strife/stubs/type';
import { systemClock } from '@strife/two-phase-commit';
import { createAccountApi, PAGE_ITEMS_MAX } from './account-api.ts';
import { createPageTurns } from './page-turns.ts';

const ID = '0197b2a0-0000-7000-8000-000000000001';
const {
  INSUFFICIENT_FUNDS, NO_SUCH_PAYER, PAYER_FROZEN, PAYER_CURRENCY, EXPIRED, NO_SUCH_PAYEE, PAYEE_FROZEN, PAYEE_CURRENCY, LIMIT_EXCEEDED, UNSPECIFIED,
} = DeclineReason;
type Reason = Extract<StoredLeg['state'], { kind: 'declined' }>['reason'];

/** Whoever is named by the grant. */
const grants = { verify: (account: string) => Promise.resolve({ account }) } as unknown as Grants;

/** Asked about a payment of alice to bob, inside one bank, that was declined. */
async function asked(by: string, reason: Reason) {
  const body = { from: { bank: 'alpha', account: 'alice' }, to: { bank: 'alpha', account: 'bob' }, currency: 'EUR', amountMinor: 100n, memo: '' };
  const leg: StoredLeg = {
    id: ID, state: { kind: 'declined', fingerprint: '00112233445566778899aabbccddeeff', reason }, terms: { side: 'both', deadlineMs: 1, body },
    accountId: 1, preparedAtMs: 1000, endedAtMs: 1000,
  };
  const api = createAccountApi({
    store: { bank: 'alpha', transfer: () => leg, account: (_kind: string, name: string) => ({ name }) } as unknown as LedgerStore,
    grants,
    turns: createPageTurns(systemClock),
  });
  return (await api.getTransfer({ grant: by, transferId: transferIdToWire(ID) }, {} as never)).transfer;
}

describe('the record of a declined transfer', () => {
  it.each<[Reason, DeclineReason]>([
    ['insufficient_funds', INSUFFICIENT_FUNDS], ['no_such_payer', NO_SUCH_PAYER], ['payer_frozen', PAYER_FROZEN], ['payer_currency', PAYER_CURRENCY], ['expired', EXPIRED],
  ])('tells %s to the payer alone', async (reason, wire) => {
    expect(await asked('alice', reason)).toMatchObject({ state: TransferState.DECLINED, declineReason: wire });
    expect(await asked('bob', reason)).toMatchObject({ state: TransferState.DECLINED, declineReason: UNSPECIFIED });
  });

  it.each<[Reason, DeclineReason]>([
    ['no_such_payee', NO_SUCH_PAYEE], ['payee_frozen', PAYEE_FROZEN], ['payee_currency', PAYEE_CURRENCY], ['limit_exceeded', LIMIT_EXCEEDED],
  ])('tells %s to both', async (reason, wire) => {
    for (const party of ['alice', 'bob']) expect(await asked(party, reason)).toMatchObject({ declineReason: wire });
  });

  it('is nobody else\'s to see', async () => {
    const error: unknown = await asked('carol', 'expired').then(() => undefined, (thrown: unknown) => thrown);
    expect(reasonOf(error)).toBe('NO_SUCH_TRANSFER');
  });
});

describe('a list', () => {
  const asked: [size: number, cursor: string | undefined][] = [];
  const list = (_account: string, size: number, cursor?: string) => {
    if (cursor === 'forged') throw new CursorError('the page token is not one of this account');
    asked.push([size, cursor]);
    return { items: [], nextCursor: 'further' };
  };
  const api = createAccountApi({
    store: { bank: 'alpha', account: (_kind: string, name: string) => ({ name }), listEntries: list, listTransfers: list } as unknown as LedgerStore,
    grants, turns: createPageTurns(systemClock),
  });
  const call = { signal: new AbortController().signal } as never;

  describe.each(['listEntries', 'listTransfers'] as const)('by %s', (method) => {
    const ask = (pageSize: number, pageToken: string, context = call) => api[method]({ grant: 'alice', pageSize, pageToken }, context);

    it('may be empty and go on', async () => {
      asked.length = 0;
      expect((await ask(PAGE_ITEMS_MAX, '')).nextPageToken).toBe('further');
      await ask(0, 'further');
      expect(asked).toEqual([[PAGE_ITEMS_MAX, undefined], [50, 'further']]);
    });

    it.each([PAGE_ITEMS_MAX + 1, 2 ** 32 - 1])('is refused for a page size of %d', async (pageSize) => {
      const error: unknown = await Promise.resolve(ask(pageSize, '')).catch((thrown: unknown) => thrown);
      expect([reasonOf(error), (error as Error).message]).toEqual(['INVALID_ARGUMENT', expect.stringContaining('page_size: must be at most 1000')]);
    });

    it('is refused for a page token that is not of this account', async () => {
      const error: unknown = await Promise.resolve(ask(10, 'forged')).catch((thrown: unknown) => thrown);
      expect([reasonOf(error), (error as Error).message]).toEqual(['INVALID_ARGUMENT', expect.stringContaining('page_token: is not one that this bank gave')]);
    });

    it('is not read for a call that was given up', async () => {
      asked.length = 0;
      await expect(ask(10, '', { signal: AbortSignal.abort() } as never)).rejects.toMatchObject({ name: 'AbortError' });
      expect(asked).toEqual([]);
    });
  });
});
