import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { stepDecide, stepPrepare } from './participant-machine.ts';
import type { LegState, PrepareMessage } from './participant-machine.ts';
import type { Decision, Reason } from './vocabulary.ts';

const F = 'fingerprint';
const absent: LegState = { kind: 'absent' };
const prepared = (attempt: number, log = 'L1'): LegState => ({ kind: 'prepared', fingerprint: F, attempt, log });
const committed = (attempt: number, log = 'L1'): LegState => ({ kind: 'committed', fingerprint: F, attempt, log });
const aborted = (attempt: number): LegState => ({ kind: 'aborted', fingerprint: F, attempt });
const declined = (reason = 'frozen'): LegState => ({ kind: 'declined', fingerprint: F, reason });

const prepare = (attempt: number, log = 'L1', more: Partial<PrepareMessage> = {}): PrepareMessage =>
  ({ log, attempt, fingerprint: F, onePhase: false, ...more });
const commit = (attempt: number): Decision => ({ outcome: 'committed', attempt, fingerprint: F });
const abort = (attempt: number, reason?: Reason): Decision => ({ outcome: 'aborted', attempt, fingerprint: F, ...(reason !== undefined && { reason }) });

const accept = (): undefined => undefined;
const refuse = (): Reason => 'no-funds';
const neverAsked = (): undefined => {
  throw new Error('the ledger must not be asked');
};

describe('Prepare', () => {
  it.each([
    ['absent: holds and says yes', absent, prepare(1), prepared(1), 'hold', { kind: 'yes' }],
    ['absent: holds at any attempt', absent, prepare(7), prepared(7), 'hold', { kind: 'yes' }],
    ['absent, inside the bank: applies at once', absent, prepare(1, 'L1', { onePhase: true }), committed(1), 'apply', { kind: 'committed', replayed: false }],
    ['above the fence: as absent', aborted(2), prepare(3), prepared(3), 'hold', { kind: 'yes' }],
    ['above the fence, inside the bank: applies at once', aborted(2), prepare(3, 'L2', { onePhase: true }), committed(3, 'L2'), 'apply', { kind: 'committed', replayed: false }],
    ['above the fence, other log: as absent', aborted(2), prepare(3, 'L2'), prepared(3, 'L2'), 'hold', { kind: 'yes' }],
  ] as const)('%s', (_, state, message, after, effect, vote) => {
    expect(stepPrepare(state, message, accept)).toEqual({ state: after, effect, vote });
  });

  it.each([
    ['absent', absent, prepare(1)],
    ['absent, inside the bank', absent, prepare(1, 'L1', { onePhase: true })],
    ['above the fence', aborted(2), prepare(3)],
  ] as const)('%s: declines for ever what the ledger refuses', (_, state, message) => {
    expect(stepPrepare(state, message, refuse)).toEqual({
      state: declined('no-funds'), effect: 'none', vote: { kind: 'no', reason: 'no-funds', replayed: false },
    });
  });

  it.each([
    ['prepared, same attempt: yes again', prepared(2), prepare(2), prepared(2), { kind: 'yes' }],
    ['prepared, lower attempt: fenced below the running one', prepared(2), prepare(1), prepared(2), { kind: 'fenced', fence: 1 }],
    ['prepared, other log: busy', prepared(2), prepare(2, 'L2'), prepared(2), { kind: 'busy' }],
    ['prepared, other log and higher attempt: busy', prepared(2), prepare(9, 'L2'), prepared(2), { kind: 'busy' }],
    ['committed: replayed', committed(2), prepare(3), committed(2), { kind: 'committed', replayed: true }],
    ['committed, other log: replayed', committed(2), prepare(1, 'L2'), committed(2), { kind: 'committed', replayed: true }],
    ['at the fence: fenced', aborted(2), prepare(2), aborted(2), { kind: 'fenced', fence: 2 }],
    ['below the fence: fenced', aborted(2), prepare(1, 'L2'), aborted(2), { kind: 'fenced', fence: 2 }],
    ['declined: the same no', declined(), prepare(9), declined(), { kind: 'no', reason: 'frozen', replayed: true }],
  ] as const)('%s, without asking the ledger', (_, state, message, after, vote) => {
    expect(stepPrepare(state, message, neverAsked)).toEqual({ state: after, effect: 'none', vote });
  });

  it('prepared, higher attempt of its log: takes the hold over', () => {
    const asked: string[] = [];
    const ask = (how: string): undefined => void asked.push(how);
    expect(stepPrepare(prepared(1), prepare(4), ask)).toEqual({ state: prepared(4), effect: 'none', vote: { kind: 'yes' } });
    expect(asked).toEqual(['taken over']);
  });

  it('prepared, higher attempt of its log that comes too late: releases the hold and closes the id', () => {
    const step = stepPrepare(prepared(1), prepare(4), (how) => (how === 'taken over' ? 'frozen' : undefined));
    expect(step).toEqual({ state: declined(), effect: 'release', vote: { kind: 'no', reason: 'frozen', replayed: false } });
  });

  it.each([prepared(1), committed(1), aborted(1), declined()])('of another body is a mismatch: $kind', (state) => {
    const message = prepare(2, 'L1', { fingerprint: 'another' });
    expect(stepPrepare(state, message, neverAsked)).toEqual({ state, effect: 'none', vote: { kind: 'mismatch', field: '' } });
  });
});

describe('Commit', () => {
  it('settles the leg that its log prepared at its attempt', () => {
    expect(stepDecide(prepared(2), 'L1', commit(2))).toEqual({ kind: 'acknowledged', state: committed(2), effect: 'settle' });
  });

  it('of a committed leg is acknowledged again', () => {
    expect(stepDecide(committed(2), 'L1', commit(2))).toEqual({ kind: 'acknowledged', state: committed(2), effect: 'none' });
  });

  it.each([
    ['an unknown transfer', absent, 'L1', commit(1)],
    ["another log's prepared leg", prepared(1, 'L2'), 'L1', commit(1)],
    ['a lower attempt than the prepared one', prepared(2), 'L1', commit(1)],
    ['a higher attempt than the prepared one', prepared(2), 'L1', commit(3)],
    ["another log's committed leg", committed(1, 'L2'), 'L1', commit(1)],
    ['an aborted leg', aborted(1), 'L1', commit(1)],
    ['an aborted leg, above the fence', aborted(1), 'L1', commit(2)],
    ['a declined leg', declined(), 'L1', commit(1)],
    ['another body', prepared(1), 'L1', { ...commit(1), fingerprint: 'another' }],
  ] as const)('is refused as broken: %s', (_, state, log, decision) => {
    expect(stepDecide(state, log, decision)).toMatchObject({ kind: 'broken' });
  });
});

describe('Abort', () => {
  it.each([
    ['absent: writes the fence', absent, 'L1', abort(2), aborted(2), 'none'],
    ['absent, with a reason: closes the id', absent, 'L1', abort(2, 'frozen'), declined(), 'none'],
    ['prepared at its attempt: releases', prepared(2), 'L1', abort(2), aborted(2), 'release'],
    ['prepared below its attempt: releases, with the higher fence', prepared(2), 'L1', abort(5), aborted(5), 'release'],
    ['prepared, with a reason: releases and closes the id', prepared(2), 'L1', abort(2, 'frozen'), declined(), 'release'],
    ['prepared above its attempt: ignored', prepared(2), 'L1', abort(1), prepared(2), 'none'],
    ['prepared above its attempt, with a reason: ignored', prepared(2), 'L1', abort(1, 'frozen'), prepared(2), 'none'],
    ['prepared by another log: ignored', prepared(2, 'L2'), 'L1', abort(9), prepared(2, 'L2'), 'none'],
    ['prepared by another log, with a reason: ignored', prepared(2, 'L2'), 'L1', abort(9, 'frozen'), prepared(2, 'L2'), 'none'],
    ['committed above its attempt: ignored', committed(2), 'L1', abort(1), committed(2), 'none'],
    ['committed by another log: ignored', committed(2, 'L2'), 'L1', abort(9), committed(2, 'L2'), 'none'],
    ['aborted below: raises the fence', aborted(2), 'L2', abort(4), aborted(4), 'none'],
    ['aborted above: keeps the fence', aborted(4), 'L1', abort(2), aborted(4), 'none'],
    ['aborted, with a reason: closes the id', aborted(4), 'L1', abort(2, 'frozen'), declined(), 'none'],
    ['declined: acknowledged', declined(), 'L1', abort(2), declined(), 'none'],
    ['declined, with another reason: keeps the first', declined(), 'L1', abort(2, 'no-funds'), declined(), 'none'],
  ] as const)('%s', (_, state, log, decision, after, effect) => {
    expect(stepDecide(state, log, decision)).toEqual({ kind: 'acknowledged', state: after, effect });
  });

  it.each([abort(2), abort(3), abort(2, 'frozen')])('of a leg that its log committed is refused as broken', (decision) => {
    expect(stepDecide(committed(2), 'L1', decision)).toMatchObject({ kind: 'broken' });
  });

  it.each([prepared(1), committed(1), aborted(1), declined()])('about another body is not about this leg: $kind', (state) => {
    expect(stepDecide(state, 'L1', { ...abort(9, 'frozen'), fingerprint: 'another' })).toEqual({ kind: 'acknowledged', state, effect: 'none' });
  });
});

describe('whatever the leg and the message', () => {
  const attempts = fc.integer({ min: 1, max: 4 });
  const logs = fc.constantFrom('L1', 'L2');
  const fingerprints = fc.constantFrom(F, 'another');
  const reasons = fc.constantFrom('frozen', 'no-funds');
  const legs: fc.Arbitrary<LegState> = fc.oneof(
    fc.constant(absent),
    fc.record({ kind: fc.constantFrom('prepared' as const, 'committed' as const), fingerprint: fingerprints, attempt: attempts, log: logs }),
    fc.record({ kind: fc.constant('aborted' as const), fingerprint: fingerprints, attempt: attempts }),
    fc.record({ kind: fc.constant('declined' as const), fingerprint: fingerprints, reason: reasons }),
  );
  const prepares: fc.Arbitrary<PrepareMessage> = fc.record({ log: logs, attempt: attempts, fingerprint: fingerprints, onePhase: fc.boolean() });
  const decisions: fc.Arbitrary<Decision> = fc.oneof(
    fc.record({ outcome: fc.constant('committed' as const), attempt: attempts, fingerprint: fingerprints }),
    fc.record({ outcome: fc.constant('aborted' as const), attempt: attempts, fingerprint: fingerprints }),
    fc.record({ outcome: fc.constant('aborted' as const), attempt: attempts, fingerprint: fingerprints, reason: reasons }),
  );
  const answers = fc.constantFrom(undefined, 'no-funds');

  it('a repeated Prepare changes nothing and says the same', () => {
    fc.assert(fc.property(legs, prepares, answers, (leg, message, reason) => {
      const first = stepPrepare(leg, message, () => reason);
      const again = stepPrepare(first.state, message, neverAsked);
      expect(again.state).toEqual(first.state);
      expect(again.effect).toBe('none');
      expect(again.vote).toEqual('replayed' in first.vote ? { ...first.vote, replayed: true } : first.vote);
    }));
  });

  it('a repeated decision is acknowledged again and changes nothing', () => {
    fc.assert(fc.property(legs, logs, decisions, (leg, log, decision) => {
      const first = stepDecide(leg, log, decision);
      if (first.kind === 'broken') return;
      expect(stepDecide(first.state, log, decision)).toEqual({ ...first, effect: 'none' });
    }));
  });

  it('committed and declined are final', () => {
    fc.assert(fc.property(legs.filter(({ kind }) => kind === 'committed' || kind === 'declined'), prepares, logs, decisions, (leg, message, log, decision) => {
      expect(stepPrepare(leg, message, neverAsked).state).toEqual(leg);
      const decided = stepDecide(leg, log, decision);
      if (decided.kind === 'acknowledged') expect(decided.state).toEqual(leg);
    }));
  });

  it('the books move exactly with the state: hold into prepared, settle or release out of it', () => {
    fc.assert(fc.property(legs, logs, decisions, (leg, log, decision) => {
      const decided = stepDecide(leg, log, decision);
      if (decided.kind === 'broken') return;
      const left = leg.kind === 'prepared' && decided.state.kind !== 'prepared';
      expect(decided.effect).toBe(left ? (decided.state.kind === 'committed' ? 'settle' : 'release') : 'none');
    }));
  });
});
