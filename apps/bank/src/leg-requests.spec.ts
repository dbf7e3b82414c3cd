import { describe, expect, it } from '@jest/globals';
import { fingerprintToWire, transferIdToWire } from '@strife/service';
import { DecisionOutcome, Side } from '@strife/stubs/bank';
import type { Decision, Leg } from '@strife/stubs/bank';
import { DeclineReason } from '@strife/stubs/type';
import { fingerprintOf } from '@strife/two-phase-commit';
import { readDecision, readLeg } from './leg-requests.ts';

const body = { from: { bank: 'alpha', account: 'alice' }, to: { bank: 'beta', account: 'bob' }, currency: 'EUR', amountMinor: 5n, memo: '' };
const id = '0190f8a2-7c1e-7d3a-9f6b-2b1c3d4e5f60';
const good: Leg = {
  transferId: transferIdToWire(id), attempt: 1, fingerprint: fingerprintToWire(fingerprintOf(body)), side: Side.DEBIT,
  payerAccount: 'alice', payeeAccount: 'bob', peerBank: 'beta', currency: 'EUR', amountMinor: 5n, memo: '', deadlineUnixMs: 9n, grantIndex: 0, expiresAtUnixMs: 0n,
};

it('reads both halves of one transfer as the same body', () => {
  expect(readLeg(good, 'log-1', 'alpha')).toEqual({ kind: 'ok', value: { id, log: 'log-1', attempt: 1, fingerprint: fingerprintOf(body), terms: { body, side: 'debit', deadlineMs: 9 } } });
  expect(readLeg({ ...good, side: Side.CREDIT, peerBank: 'alpha' }, 'log-1', 'beta')).toMatchObject({ value: { terms: { body, side: 'credit' } } });
});

it('reads when the payer no longer wants it, and 0 as never', () => {
  expect(readLeg({ ...good, expiresAtUnixMs: 77n }, 'log-1', 'alpha')).toMatchObject({ value: { expiresAtMs: 77 } });
  expect(readLeg(good, 'log-1', 'alpha')).toMatchObject({ value: { expiresAtMs: undefined } });
});

describe('names the field of a malformed leg', () => {
  const cases: [Partial<Leg>, string][] = [
    [{ transferId: Buffer.alloc(15) }, 'transfer_id'],
    [{ transferId: undefined }, 'transfer_id'],
    [{ attempt: 0 }, 'attempt'],
    [{ attempt: 2 ** 31 }, 'attempt'],
    [{ deadlineUnixMs: -1n }, 'deadline_unix_ms'],
    [{ deadlineUnixMs: 2n ** 63n - 1n }, 'deadline_unix_ms'],
    [{ expiresAtUnixMs: -1n }, 'expires_at_unix_ms'],
    [{ expiresAtUnixMs: 2n ** 63n - 1n }, 'expires_at_unix_ms'],
    [{ payeeAccount: 'b\u0000b' }, 'payee_account'],
    [{ peerBank: 'x'.repeat(64) }, 'peer_bank'],
    [{ fingerprint: Buffer.alloc(17) }, 'fingerprint'],
    [{ fingerprint: undefined }, 'fingerprint'],
    [{ fingerprint: Buffer.alloc(16) }, 'fingerprint'],
    [{ side: Side.UNSPECIFIED }, 'side'],
    [{ payerAccount: '' }, 'payer_account'],
    [{ payeeAccount: '' }, 'payee_account'],
    [{ peerBank: '' }, 'peer_bank'],
    [{ peerBank: 'alpha' }, 'peer_bank'],
    [{ side: Side.BOTH }, 'peer_bank'],
    [{ side: Side.BOTH, peerBank: 'alpha', payeeAccount: 'alice' }, 'payee_account'],
    [{ currency: 'XXXX' }, 'currency'],
    [{ amountMinor: 0n }, 'amount_minor'],
    [{ amountMinor: -5n }, 'amount_minor'],
    [{ memo: 'x'.repeat(141) }, 'memo'],
  ];
  it.each(cases)('%o', (change, field) => {
    expect(readLeg({ ...good, ...change }, 'log-1', 'alpha')).toEqual({ kind: 'wrong', field });
  });
});

describe('names the field of a malformed decision', () => {
  const decision: Decision = {
    transferId: transferIdToWire(id), attempt: 2, outcome: DecisionOutcome.ABORT, reason: DeclineReason.PAYEE_FROZEN, fingerprint: good.fingerprint,
  };
  it('and reads a good one', () => {
    expect(readDecision(decision, 'log-1')).toEqual({
      kind: 'ok', value: { id, log: 'log-1', decision: { outcome: 'aborted', attempt: 2, fingerprint: fingerprintOf(body), reason: 'payee_frozen' } },
    });
  });
  const cases: [Partial<Decision>, string][] = [
    [{ transferId: Buffer.alloc(0) }, 'transfer_id'],
    [{ transferId: undefined }, 'transfer_id'],
    [{ fingerprint: Buffer.alloc(1) }, 'fingerprint'],
    [{ attempt: 0 }, 'attempt'],
    [{ attempt: 2 ** 32 - 1 }, 'attempt'],
    [{ outcome: DecisionOutcome.UNSPECIFIED }, 'outcome'],
  ];
  it.each(cases)('%o', (change, field) => {
    expect(readDecision({ ...decision, ...change }, 'log-1')).toEqual({ kind: 'wrong', field });
  });
});
