import { describe, expect, it } from '@jest/globals';
import { AuthenticationError, ConflictError, StrifeError, UnavailableError } from './errors.ts';
import type { Transfer } from './model.ts';
import {
  afterAnswer,
  afterNoConnection,
  conclude,
  openSubmission,
  worthSending,
  type Answer,
  type Submission,
} from './submission.ts';

const ID = '0198c0de-0000-7000-8000-000000000001';
type Gateway = 'g1' | 'g2';

const start = (): Submission<Gateway> => openSubmission(ID);
const silence: Answer = failure('unknown', { lookedUp: false });
const aborted: Answer = failure('not_applied', { lookedUp: true });
const turnedAway: Answer = failure('not_applied', { lookedUp: false });

function failure(outcome: 'unknown' | 'not_applied' | 'applied', { lookedUp }: { lookedUp: boolean }): Answer {
  const error = new UnavailableError('no luck', { code: 'NO_LUCK', retryable: true, outcome });
  return { kind: 'failure', failure: { error, lookedUp } };
}

function transfer(state: Transfer['state']): Answer {
  const amount = { currency: 'EUR', minorUnits: 1n };
  const createdAt = new Date(0);
  return {
    kind: 'transfer',
    transfer: { id: ID, from: 'alpha/alice', to: 'beta/bob', amount, memo: '', state, replayed: false, createdAt },
  };
}

function run(...steps: [Gateway, Answer][]): Submission<Gateway> {
  return steps.reduce((submission, [gateway, answer]) => afterAnswer(submission, gateway, answer), start());
}

function outcomeOf(submission: Submission<Gateway>): string | undefined {
  const result = conclude(submission);
  return result.ok ? 'answered' : result.error.outcome;
}

describe('what may be said about a payment', () => {
  it('is "not applied" when nothing was ever sent', () => {
    const unreachable = new UnavailableError('nobody there', { code: 'UNAVAILABLE', retryable: true });
    const result = conclude(afterNoConnection(start(), unreachable));
    expect(result).toMatchObject({ ok: false, error: { outcome: 'not_applied', transferId: ID, code: 'UNAVAILABLE' } });
  });

  it('is "not applied" when the one gateway that was sent it says so', () => {
    expect(outcomeOf(run(['g1', aborted]))).toBe('not_applied');
    expect(outcomeOf(run(['g1', turnedAway]))).toBe('not_applied');
  });

  describe('that gateways may have been sent before', () => {
    const again = (...steps: [Gateway, Answer][]): Submission<Gateway> =>
      steps.reduce((submission, [gateway, answer]) => afterAnswer(submission, gateway, answer), openSubmission<Gateway>(ID, new Set<Gateway>(['g1', 'g2'])));

    it('is "unknown" when nothing was sent this time, for whatever reason', () => {
      for (const retryable of [true, false]) {
        const refused = new AuthenticationError('log in again', { code: 'SESSION_ENDED', retryable });
        const result = conclude(afterNoConnection(again(), refused));
        expect(result).toMatchObject({ ok: false, error: { name: 'AuthenticationError', code: 'SESSION_ENDED', retryable, outcome: 'unknown', transferId: ID } });
      }
    });

    it('is "unknown" when a gateway turned it away, and while one of them has not looked it up', () => {
      expect(outcomeOf(again(['g1', turnedAway], ['g2', turnedAway]))).toBe('unknown');
      expect(outcomeOf(again(['g1', aborted]))).toBe('unknown');
      expect(worthSending(again(['g1', turnedAway]), 100, 1_000)).toBe(true);
    });

    it('is "not applied" once every one of them has looked it up and says so', () => {
      expect(outcomeOf(again(['g1', aborted], ['g2', aborted]))).toBe('not_applied');
    });

    it('is "not applied" where a bank has another payment under the id', () => {
      const error = new ConflictError('id', { code: 'ID_TAKEN', retryable: false, outcome: 'not_applied' });
      expect(outcomeOf(again(['g1', { kind: 'failure', failure: { error, lookedUp: false } }]))).toBe('not_applied');
    });
  });

  it('is "unknown" when a gateway fell silent', () => {
    expect(outcomeOf(run(['g1', silence]))).toBe('unknown');
  });

  it('is "not applied" once the gateway that fell silent has looked and says so', () => {
    expect(outcomeOf(run(['g1', silence], ['g1', aborted]))).toBe('not_applied');
  });

  it('stays "unknown" when another gateway than the silent one says "not applied"', () => {
    expect(outcomeOf(run(['g1', silence], ['g2', aborted]))).toBe('unknown');
  });

  it('stays "unknown" when the silent gateway later turns a request away without looking', () => {
    expect(outcomeOf(run(['g1', silence], ['g1', turnedAway]))).toBe('unknown');
  });

  it('is "unknown" when something was sent after a "not applied" and not answered', () => {
    expect(outcomeOf(run(['g1', aborted], ['g1', silence]))).toBe('unknown');
    expect(outcomeOf(run(['g1', aborted], ['g2', silence]))).toBe('unknown');
  });

  it('is "unknown" when the session ends after a send that was not answered', () => {
    const error = new AuthenticationError('over', { code: 'SESSION_INVALID', outcome: 'not_applied' });
    const refused: Answer = { kind: 'failure', failure: { error, lookedUp: false } };
    const submission = run(['g1', silence], ['g1', refused]);
    expect(submission.kind).toBe('closed');
    expect(conclude(submission)).toMatchObject({ ok: false, error: { outcome: 'unknown', cause: error } });
  });

  it('is "unknown" while the banks have not decided', () => {
    expect(outcomeOf(run(['g1', transfer('pending')]))).toBe('unknown');
  });

  it('is the answer, once there is one, whatever came before or comes after', () => {
    expect(outcomeOf(run(['g1', silence], ['g2', transfer('succeeded')]))).toBe('answered');
    expect(outcomeOf(run(['g1', transfer('declined')], ['g2', silence]))).toBe('answered');
  });

  it('is "applied" when a gateway says so without the transfer', () => {
    expect(outcomeOf(run(['g1', failure('applied', { lookedUp: true })]))).toBe('applied');
  });

  it('is a conflict when the gateway knows other content under the id, even after its silence', () => {
    const error = new ConflictError('taken', { code: 'ID_TAKEN', outcome: 'not_applied' });
    const conflict: Answer = { kind: 'failure', failure: { error, lookedUp: false } };
    expect(conclude(run(['g1', silence], ['g1', conflict]))).toMatchObject({ ok: false, error });
    expect(outcomeOf(run(['g1', silence], ['g2', conflict]))).toBe('unknown');
  });
});

describe('sending again', () => {
  it('stops at a refusal that is not retryable', () => {
    const error = new StrifeError('no', { code: 'NO', outcome: 'not_applied' });
    expect(run(['g1', { kind: 'failure', failure: { error, lookedUp: false } }]).kind).toBe('closed');
  });

  it('does not trade a certain "not applied" for an "unknown" when there is no time for an answer', () => {
    expect(worthSending(run(['g1', aborted]), 1_000, 2_000)).toBe(false);
    expect(worthSending(run(['g1', aborted]), 3_000, 2_000)).toBe(true);
  });

  it('uses the time to the end while the outcome is unknown', () => {
    expect(worthSending(run(['g1', silence]), 1_000, 2_000)).toBe(true);
  });
});
