import { describe, expect, it } from '@jest/globals';
import {
  AuthenticationError,
  ConflictError,
  InvalidArgumentError,
  OutcomeUnknownError,
  StrifeError,
  TlsError,
  TransferDeclinedError,
  UnavailableError,
} from '../errors.ts';
import type { Transfer } from '../model.ts';
import { eur } from '../money.ts';
import { afterNoSend, afterRetry, afterSend, backOffMs, BAD_ANSWERS_MAX, expireUnsent, hasEnded, isPending, mayDrop, nextBatchItems, takeNext } from './queue-rules.ts';
import type { SendResult } from './queue-port.ts';
import type { QueueRow } from './queue-store.ts';

const NOW_MS = 1_000_000;
const row = (more: Partial<QueueRow> = {}): QueueRow => ({
  id: 'a', from: 'alpha/alice', to: 'beta/bob', amount: eur('1.00'), memo: '', state: 'queued', createdAt: new Date(1),
  attempts: 0, unanswered: false, badAnswers: 0, ...more,
});
const sent = row({ state: 'sending', attempts: 1, unanswered: true });
const transfer = (more: Partial<Transfer> = {}): Transfer => ({
  id: 'a', from: 'alpha/alice', to: 'beta/bob', amount: eur('1.00'), memo: '', state: 'succeeded', replayed: false, createdAt: new Date(1), ...more,
});
const failure = (error: StrifeError): SendResult => ({ ok: false, error });
const past = new Date(NOW_MS);
const future = new Date(NOW_MS + 1);

describe('before a send', () => {
  it('a payment is written down as sent, and says whether an earlier send has its answer', () => {
    const { changed, outgoing } = takeNext([row(), row({ id: 'b', attempts: 2, unanswered: true, state: 'sending' })], NOW_MS);
    expect(changed).toMatchObject([
      { state: 'sending', attempts: 1, unanswered: true },
      { state: 'sending', attempts: 3, unanswered: true },
    ]);
    expect(outgoing.map(({ id, earlierSendsAnswered }) => [id, earlierSendsAnswered])).toEqual([['a', true], ['b', false]]);
  });

  it.each([
    ['never sent, its time not over', { expiresAt: future }, 'sending', NOW_MS + 1],
    ['never sent, its time over', { expiresAt: past }, 'expired', undefined],
    ['sent without an answer, its time not over', { expiresAt: future, unanswered: true }, 'sending', NOW_MS + 1],
    ['sent without an answer, its time over: with a time that is past everywhere', { expiresAt: past, unanswered: true }, 'sending', 1],
    ['without a time', {}, 'sending', undefined],
  ])('%s', (_what, more, state, expiresAtMs) => {
    const { changed, outgoing } = takeNext([row(more)], NOW_MS);
    expect(changed[0]!.state).toBe(state);
    expect(outgoing.map((payment) => payment.expiresAtMs)).toEqual(state === 'sending' ? [expiresAtMs] : []);
  });

  it('only what nobody is sending, and nobody sent, expires by itself', () => {
    const rows = [
      row({ id: 'due', expiresAt: past }),
      row({ id: 'waiting', expiresAt: past, state: 'needs-login' }),
      row({ id: 'sending', expiresAt: past, state: 'sending', unanswered: true }),
      row({ id: 'unanswered', expiresAt: past, unanswered: true }),
      row({ id: 'done', expiresAt: past, state: 'done' }),
      row({ id: 'later', expiresAt: future }),
      row({ id: 'never' }),
    ];
    expect(expireUnsent(rows, NOW_MS).map(({ id, state }) => `${id} ${state}`)).toEqual(['due expired', 'waiting expired']);
  });
});

describe('after a send', () => {
  const declined = (declineReason: Transfer['declineReason']): SendResult =>
    failure(new TransferDeclinedError(declineReason ?? 'unspecified', transfer({ state: 'declined', declineReason: declineReason ?? 'unspecified' })));
  const auth = new AuthenticationError('over', { code: 'TOKEN_EXPIRED', outcome: 'not_applied' });
  const denied = new AuthenticationError('denied', { code: 'INTENTION_DENIED', outcome: 'not_applied' });
  const invalid = new InvalidArgumentError('bad', { code: 'MALFORMED_NAME', outcome: 'not_applied' });
  const conflict = new ConflictError('taken', { code: 'ID_TAKEN', outcome: 'not_applied' });
  const unknown = (cause: StrifeError): SendResult => failure(new OutcomeUnknownError('unknown', { transferId: 'a', cause }));

  it.each<[string, SendResult | undefined, Partial<QueueRow>]>([
    ['success', { ok: true, transfer: transfer() }, { state: 'done', unanswered: false }],
    ['pending at the bank', { ok: true, transfer: transfer({ state: 'pending' }) }, { state: 'queued', unanswered: true }],
    ['a decline', declined('insufficient_funds'), { state: 'declined', unanswered: false }],
    ['a decline as expired', declined('expired'), { state: 'expired', unanswered: false }],
    ['applied, without its transfer', failure(new StrifeError('x', { code: 'X', outcome: 'applied' })), { state: 'done', unanswered: false }],
    ['a bank that was away', failure(new UnavailableError('away', { code: 'BANK_UNREACHABLE', retryable: true, outcome: 'not_applied' })), { state: 'queued', unanswered: false }],
    ['no answer in time', unknown(new UnavailableError('late', { code: 'DEADLINE_EXCEEDED', retryable: true })), { state: 'queued', unanswered: true, badAnswers: 0 }],
    ['a session that is over', failure(auth), { state: 'needs-login', unanswered: false }],
    ['a session that is over, after an unanswered send', unknown(auth), { state: 'needs-login', unanswered: true }],
    ['a refusal that no login mends', failure(denied), { state: 'queued', unanswered: false, badAnswers: 0, problem: { code: 'INTENTION_DENIED', message: 'denied' } }],
    ['a refusal that no login mends, after an unanswered send', unknown(denied), { state: 'queued', unanswered: true, badAnswers: 0 }],
    ['a certificate that is not trusted', failure(new TlsError('tls', { code: 'TLS_FAILED', outcome: 'not_applied' })), { state: 'queued', unanswered: false }],
    ['the end of this program', unknown(new StrifeError('closed', { code: 'CLOSED' })), { state: 'queued', unanswered: true, badAnswers: 0 }],
    ['a payment that nobody can make', failure(invalid), { state: 'failed', unanswered: false, problem: { code: 'MALFORMED_NAME', message: 'bad' } }],
    ['an id that was used', failure(conflict), { state: 'failed', unanswered: false }],
    ['a refusal, after an unanswered send', unknown(invalid), { state: 'queued', unanswered: true, badAnswers: 1 }],
    ['nonsense', unknown(new StrifeError('?', { code: 'BAD_RESPONSE' })), { state: 'queued', unanswered: true, badAnswers: 1 }],
    ['nothing', undefined, { state: 'queued', unanswered: true, badAnswers: 1 }],
    ['another id', { ok: true, transfer: transfer({ id: 'b' }) }, { state: 'queued', unanswered: true, badAnswers: 1 }],
    ['another amount', { ok: true, transfer: transfer({ amount: eur('2.00') }) }, { state: 'queued', unanswered: true, badAnswers: 1 }],
    ['another payer', { ok: true, transfer: transfer({ from: 'alpha/anna' }) }, { state: 'queued', unanswered: true, badAnswers: 1 }],
    ['another payer’s decline', failure(new TransferDeclinedError('expired', transfer({ from: 'alpha/anna', state: 'declined' }))), { state: 'queued', unanswered: true }],
  ])('of which came %s', (_what, result, expected) => {
    expect(afterSend(sent, result, true)).toMatchObject(expected);
  });

  it.each([
    'NOT_LOGGED_IN', 'SESSION_ENDED', 'SESSION_REVOKED', 'TOKEN_MISSING', 'TOKEN_MALFORMED', 'TOKEN_EXPIRED', 'TOKEN_FORGED', 'TOKEN_ISSUER', 'TOKEN_REVOKED',
    'GRANT_EXPIRED', 'GRANT_REFUSED', 'REFRESH_TOKEN_INVALID', 'REFRESH_TOKEN_EXPIRED', 'REFRESH_TOKEN_REUSED',
  ])('that was refused as %s waits for a login, which mends it', (code) => {
    const error = new AuthenticationError('refused', { code, outcome: 'not_applied' });
    expect([afterSend(sent, failure(error), true), afterNoSend(sent, false, error)]).toMatchObject([{ state: 'needs-login' }, { state: 'needs-login' }]);
  });

  it.each(['INTENTION_DENIED', 'ROLE_NOT_ALLOWED', 'PEER_NOT_IDENTIFIED', 'ACCOUNT_FROZEN', 'OF_A_LATER_RELEASE'])(
    'that was refused as %s, which no login mends, is tried again with its problem told',
    (code) => {
      const error = new AuthenticationError('refused', { code, outcome: 'not_applied' });
      const after = { state: 'queued', unanswered: false, badAnswers: 0, problem: { code, message: 'refused' } };
      expect([afterSend(sent, failure(error), true), afterNoSend(sent, false, error)]).toMatchObject([after, after]);
    },
  );

  it('of many, none is set aside: it is tried alone first', () => {
    expect(afterSend(sent, failure(invalid), false)).toMatchObject({ state: 'queued', unanswered: false });
    expect(afterSend({ ...sent, badAnswers: BAD_ANSWERS_MAX - 1 }, undefined, false)).toMatchObject({ state: 'queued', badAnswers: BAD_ANSWERS_MAX - 1 });
  });

  it('nonsense in a row sets a payment aside; anything sensible begins the count anew', () => {
    let current = sent;
    for (let count = 1; count < BAD_ANSWERS_MAX; count++) current = afterSend(current, undefined, true);
    expect(current.state).toBe('queued');
    expect(afterSend(current, failure(auth), true).badAnswers).toBe(0);
    expect(afterSend(current, undefined, true)).toMatchObject({ state: 'failed', unanswered: true });
  });

  it('that did not happen, all is as it was before', () => {
    const offline = new UnavailableError('none', { code: 'UNAVAILABLE', retryable: true, outcome: 'not_applied' });
    for (const unanswered of [true, false]) {
      expect(afterNoSend(sent, unanswered, offline)).toMatchObject({ state: 'queued', attempts: 0, unanswered });
      expect(afterNoSend(sent, unanswered, auth)).toMatchObject({ state: 'needs-login', unanswered });
    }
  });
});

describe('what may be let go', () => {
  it('is what was never sent, or has ended with certainty', () => {
    expect(mayDrop(row())).toBe(true);
    expect(mayDrop(row({ state: 'failed' }))).toBe(true);
    expect(mayDrop(sent)).toBe(false);
    expect(mayDrop(row({ unanswered: true }))).toBe(false);
    expect(mayDrop(row({ state: 'failed', unanswered: true }))).toBe(false);
  });

  it('is not what a retry delivers again: only a payment that was set aside', () => {
    expect(afterRetry(row({ state: 'failed', resultSeq: 7, badAnswers: 8, unanswered: true }))).toMatchObject({ state: 'queued', resultSeq: undefined, badAnswers: 0, unanswered: true });
    expect(afterRetry(row({ state: 'needs-login' })).state).toBe('needs-login');
    expect([isPending('failed'), hasEnded(row({ state: 'failed', unanswered: true })), hasEnded(row({ state: 'failed' }))]).toEqual([false, false, true]);
  });
});

describe('the pace', () => {
  it('doubles the messages while all goes well, and begins at one again', () => {
    expect([1, 2, 64, 100].map((items) => nextBatchItems(items, true, 100))).toEqual([2, 4, 100, 100]);
    expect(nextBatchItems(100, false, 100)).toBe(1);
  });

  it('backs off with jitter, within bounds', () => {
    expect([1, 2, 3, 100].map((failures) => backOffMs(failures, false, 0))).toEqual([250, 500, 1_000, 15_000]);
    expect([1, 100].map((failures) => backOffMs(failures, false, 1))).toEqual([500, 30_000]);
    expect([1, 100].map((failures) => backOffMs(failures, true, 1))).toEqual([500, 5_000]);
  });
});
