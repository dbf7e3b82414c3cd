// What a bank tells of a leg, and to whom.

import { describe, expect, it } from '@jest/globals';
import { GrantError } from '@strife/auth';
import { fingerprintToWire, reasonOf, transferIdToWire } from '@strife/service';
import type { LegAttempt, ProcessStart, StoredLeg } from '@strife/storage';
import { LegEnd } from '@strife/stubs/bank';
import type { ExplainTransferRequest } from '@strife/stubs/bank';
import { DeclineReason } from '@strife/stubs/type';
import { createExplainApi } from './explain-api.ts';

const ID = '0197b2a0-0000-7000-8000-000000000001';
const FINGERPRINT = '00112233445566778899aabbccddeeff';
const LOG = 'g1.6f1c1c9e';
const leg: StoredLeg = {
  id: ID,
  state: { kind: 'committed', fingerprint: FINGERPRINT, attempt: 2, log: LOG },
  terms: { side: 'debit', deadlineMs: 1, body: { from: { bank: 'alpha', account: 'alice' }, to: { bank: 'beta', account: 'bob' }, currency: 'EUR', amountMinor: 100n, memo: 'tea' } },
  accountId: 1, preparedAtMs: 3000, endedAtMs: 4000,
};
const attempts: LegAttempt[] = [
  { attempt: 1, preparedAtMs: 1000, end: { kind: 'released', atMs: 2000 } },
  { attempt: 2, preparedAtMs: 3000, end: { kind: 'settled', log: LOG, atMs: 4000 } },
];
const starts: ProcessStart[] = [
  { startedAtMs: 500, before: { kind: 'nothing' } }, { startedAtMs: 1500, before: { kind: 'unclean' } }, { startedAtMs: 5000, before: { kind: 'stopped', atMs: 4900 } },
];

function apiOf(stored: StoredLeg | undefined = leg, told: LegAttempt[] = attempts) {
  const api = createExplainApi({
    store: {
      bank: 'alpha',
      transfer: (id) => (id === ID ? stored : undefined),
      attempts: (id) => (id === ID && stored !== undefined ? told : []),
      starts: { since: (atMs) => starts.filter(({ startedAtMs }) => startedAtMs >= atMs) },
    },
    grants: {
      verify: async (account) => {
        if (account === 'ended') throw new GrantError('SESSION_REVOKED');
        return { account, currency: 'EUR', sessionId: 's', expiresAtMs: 1 };
      },
    },
  });
  return (request: Partial<ExplainTransferRequest>) =>
    api.explainTransfer({ transferId: transferIdToWire(ID), grant: '', fingerprint: Buffer.alloc(0), sinceUnixMs: 0n, ...request }, {} as never);
}

const fingerprint = fingerprintToWire(FINGERPRINT);

describe('a bank that is asked about a transfer', () => {
  it('tells a party what it is, and what each attempt did', async () => {
    const { leg: story } = await apiOf()({ grant: 'alice' });
    expect(story).toEqual({
      terms: { from: { bank: 'alpha', account: 'alice' }, to: { bank: 'beta', account: 'bob' }, amount: { currency: 'EUR', minorUnits: 100n }, memo: 'tea' },
      attempts: [
        { attempt: 1, end: LegEnd.RELEASED, preparedAtUnixMs: 1000n, endedAtUnixMs: 2000n, reason: DeclineReason.UNSPECIFIED, logId: '' },
        { attempt: 2, end: LegEnd.SETTLED, preparedAtUnixMs: 3000n, endedAtUnixMs: 4000n, reason: DeclineReason.UNSPECIFIED, logId: LOG },
      ],
    });
  });

  const declined = (from: string, to: string, reason: 'insufficient_funds' | 'payee_frozen') => {
    const body = { ...leg.terms!.body, from: { bank: from, account: 'alice' }, to: { bank: to, account: 'bob' } };
    return apiOf({ ...leg, state: { kind: 'declined', fingerprint: FINGERPRINT, reason }, terms: { ...leg.terms!, body } }, [{ attempt: 1, preparedAtMs: undefined, end: { kind: 'declined', reason, atMs: 2000 } }]);
  };
  const { INSUFFICIENT_FUNDS, PAYEE_FROZEN, UNSPECIFIED } = DeclineReason;

  it.each<[string, ReturnType<typeof apiOf>, Partial<ExplainTransferRequest>, DeclineReason]>([
    ['the payer why it declined', declined('alpha', 'alpha', 'insufficient_funds'), { grant: 'alice' }, INSUFFICIENT_FUNDS],
    ['the payee not why the payer was declined', declined('alpha', 'alpha', 'insufficient_funds'), { grant: 'bob' }, UNSPECIFIED],
    ['the payee of the other bank neither', declined('alpha', 'beta', 'insufficient_funds'), { fingerprint }, UNSPECIFIED],
    ["the payer of the other bank what the payee's bank knows", declined('beta', 'alpha', 'insufficient_funds'), { fingerprint }, INSUFFICIENT_FUNDS],
    ['the payee what is about the payee', declined('beta', 'alpha', 'payee_frozen'), { grant: 'bob' }, PAYEE_FROZEN],
  ])('tells %s', async (_what, ask, request, reason) => {
    expect((await ask(request)).leg?.attempts).toEqual([expect.objectContaining({ end: LegEnd.DECLINED, reason })]);
  });

  it('tells whoever names the fingerprint what happened, without what it is', async () => {
    const { leg: story } = await apiOf()({ fingerprint });
    expect(story).toMatchObject({ terms: undefined, attempts: [{ attempt: 1 }, { attempt: 2 }] });
    expect(await apiOf()({ fingerprint, grant: 'carol' })).toMatchObject({ leg: { terms: undefined } });
  });

  it.each<[string, Partial<ExplainTransferRequest>]>([
    ['the grant of another customer', { grant: 'carol' }],
    ['the grant of a customer with the name of the other bank\'s party', { grant: 'bob' }],
    ['another fingerprint', { fingerprint: Buffer.alloc(16) }],
    ['an unknown id', { fingerprint, transferId: Buffer.alloc(16) }],
  ])('tells nothing of a leg for %s', async (_what, request) => {
    expect(await apiOf()(request)).toEqual({ leg: undefined, starts: [] });
  });

  it('tells a fence, which has no parties, by its fingerprint alone', async () => {
    const { terms: _, ...rest } = leg;
    const fence: StoredLeg = { ...rest, state: { kind: 'aborted', fingerprint: FINGERPRINT, attempt: 1 } };
    const ask = apiOf(fence, [{ attempt: 1, preparedAtMs: undefined, end: { kind: 'fenced', atMs: 1000 } }]);
    expect((await ask({ grant: 'alice' })).leg).toBeUndefined();
    expect((await ask({ grant: 'alice', fingerprint })).leg?.attempts).toEqual([expect.objectContaining({ end: LegEnd.FENCED, preparedAtUnixMs: 0n })]);
  });

  it('tells its starts from the first moment that it or the gateway knows of', async () => {
    const told = async (request: Partial<ExplainTransferRequest>) => (await apiOf()(request)).starts?.map(({ startedAtUnixMs }) => startedAtUnixMs);
    expect(await told({ grant: 'alice' })).toEqual([1500n, 5000n]);
    expect(await told({ grant: 'alice', sinceUnixMs: 400n })).toEqual([500n, 1500n, 5000n]);
    expect(await told({ grant: 'carol', sinceUnixMs: 4000n })).toEqual([5000n]);
    expect((await apiOf()({ fingerprint, sinceUnixMs: 1n })).starts).toEqual([
      { startedAtUnixMs: 500n, isFirst: true, stoppedAtUnixMs: 0n }, { startedAtUnixMs: 1500n, isFirst: false, stoppedAtUnixMs: 0n },
      { startedAtUnixMs: 5000n, isFirst: false, stoppedAtUnixMs: 4900n },
    ]);
  });

  it.each<[string, Partial<ExplainTransferRequest>, string]>([
    ['a grant of a session that has ended', { grant: 'ended', fingerprint }, 'SESSION_REVOKED'],
    ['an id of another length', { fingerprint, transferId: Buffer.alloc(15) }, 'INVALID_ARGUMENT'],
    ['a fingerprint of another length', { grant: 'alice', fingerprint: Buffer.alloc(3) }, 'INVALID_ARGUMENT'],
    ['neither grant nor fingerprint', {}, 'INVALID_ARGUMENT'],
    ['a time before 1970', { fingerprint, sinceUnixMs: -1n }, 'INVALID_ARGUMENT'],
  ])('refuses %s', async (_what, request, reason) => {
    const error: unknown = await apiOf()(request).then(() => undefined, (thrown: unknown) => thrown);
    expect(reasonOf(error)).toBe(reason);
  });
});
