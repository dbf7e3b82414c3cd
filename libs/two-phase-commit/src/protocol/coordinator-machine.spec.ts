import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { beginTransfer, resumeDelivery, stepCoordinator } from './coordinator-machine.ts';
import type { CoordinatorInput, CoordinatorState, CoordinatorStep } from './coordinator-machine.ts';
import type { DecisionRow, Silence, TransferBody, TransferRequest, Verdict, Vote } from './vocabulary.ts';

const body: TransferBody = {
  from: { bank: 'alpha', account: 'alice' }, to: { bank: 'beta', account: 'bob' }, currency: 'EUR', amountMinor: 10n, memo: '',
};
const request: TransferRequest = { id: 't1', fingerprint: 'f1', body, createdAtMs: 1 };
const inside: TransferRequest = { ...request, body: { ...body, to: { bank: 'alpha', account: 'adam' } } };
const commit: Verdict = { outcome: 'committed' };
const decline: Verdict = { outcome: 'declined', reason: 'frozen' };
const abort: Verdict = { outcome: 'aborted', why: 'timeout' };
const row = (attempt: number, verdict: Verdict, of: TransferRequest = request): DecisionRow => ({ ...of, attempt, verdict, decidedAtMs: 2 });
const times = { createdAtMs: 1, decidedAtMs: 2 };

const vote = (bank: string, said: Vote | Silence, attempt = 1): CoordinatorInput => ({ kind: 'vote', bank, attempt, vote: said });
const yes: Vote = { kind: 'yes' };

function after(inputs: readonly CoordinatorInput[], begun: CoordinatorStep = beginTransfer(request, undefined)): CoordinatorStep {
  return inputs.reduce((step, input) => stepCoordinator(step.state, input), begun);
}

describe('the beginning', () => {
  it('asks both banks, at attempt 1, with nothing durable', () => {
    expect(beginTransfer(request, undefined)).toEqual({
      state: { kind: 'preparing', request, attempt: 1, prepared: [] },
      send: [{ kind: 'prepare', bank: 'alpha', attempt: 1 }, { kind: 'prepare', bank: 'beta', attempt: 1 }],
    });
  });

  it('asks one bank once for a transfer inside it', () => {
    expect(beginTransfer(inside, undefined).send).toEqual([{ kind: 'prepare', bank: 'alpha', attempt: 1 }]);
  });

  it('opens the attempt after the aborted one', () => {
    expect(beginTransfer(request, row(4, abort)).state).toMatchObject({ kind: 'preparing', attempt: 5 });
  });

  it.each([
    ['committed', commit, { kind: 'succeeded', replayed: true, ...times }],
    ['declined', decline, { kind: 'declined', reason: 'frozen', replayed: true, ...times }],
  ] as const)('answers from a %s row and sends nothing', (_, verdict, reply) => {
    expect(beginTransfer(request, row(1, verdict))).toEqual({ state: { kind: 'ended' }, send: [], reply });
  });

  it.each([commit, decline, abort])('refuses another body under the id: $outcome', (verdict) => {
    const other = { ...request, fingerprint: 'f2', body: { ...body, amountMinor: 7n } };
    expect(beginTransfer(other, row(1, verdict))).toEqual({ state: { kind: 'ended' }, send: [], reply: { kind: 'mismatch', field: 'amount.minor_units' } });
  });

  it('tells nobody but the payer in what the bodies differ', () => {
    const other = { ...request, fingerprint: 'f2', body: { ...body, from: { bank: 'alpha', account: 'mallory' } } };
    expect(beginTransfer(other, row(1, commit)).reply).toEqual({ kind: 'mismatch', field: '' });
  });
});

describe('the votes', () => {
  it('of both banks decide to commit, in either order, and nothing is sent before the row is durable', () => {
    for (const banks of [['alpha', 'beta'], ['beta', 'alpha']]) {
      const step = after(banks.map((bank) => vote(bank, yes)));
      expect(step).toEqual({ state: { kind: 'deciding', request, attempt: 1 }, persist: { ...request, attempt: 1, verdict: commit }, send: [] });
    }
  });

  it('of one bank, twice, are one vote', () => {
    expect(after([vote('alpha', yes), vote('alpha', yes)]).state).toMatchObject({ kind: 'preparing', prepared: ['alpha'] });
  });

  it.each([
    ['no', { kind: 'no', reason: 'frozen', replayed: false }, 1, decline],
    ['fenced below the attempt', { kind: 'fenced', fence: 0 }, 1, { outcome: 'aborted', why: 'fenced' }],
    ['fenced at the attempt', { kind: 'fenced', fence: 1 }, 1, { outcome: 'aborted', why: 'fenced' }],
    ['fenced above the attempt', { kind: 'fenced', fence: 6 }, 6, { outcome: 'aborted', why: 'fenced' }],
    ['busy', { kind: 'busy' }, 1, { outcome: 'aborted', why: 'busy' }],
    ['mismatch', { kind: 'mismatch', field: 'memo' }, 1, { outcome: 'aborted', why: 'mismatch' }],
    ['unauthorized', { kind: 'unauthorized' }, 1, { outcome: 'aborted', why: 'unauthorized' }],
    ['invalid', { kind: 'invalid', field: 'to' }, 1, { outcome: 'aborted', why: 'invalid' }],
    ['unsent', { kind: 'unsent' }, 1, { outcome: 'aborted', why: 'unreachable' }],
    ['unreachable', { kind: 'unreachable' }, 1, { outcome: 'aborted', why: 'unreachable' }],
  ] as const)('%s ends the attempt, once its row is durable', (_, said, attempt, verdict) => {
    for (const before of [[], [vote('alpha', yes)]]) {
      const step = after([...before, vote('beta', said)]);
      expect(step).toMatchObject({ state: { kind: 'deciding', attempt }, persist: { ...request, attempt, verdict }, send: [] });
      expect(step.reply).toBeUndefined();
    }
  });

  it('committed means that the id was applied before: nothing is written or sent', () => {
    expect(after([vote('beta', { kind: 'committed', replayed: true, atMs: 5 })])).toEqual({
      state: { kind: 'ended' }, send: [], reply: { kind: 'succeeded', replayed: true, createdAtMs: 5, decidedAtMs: 5 },
    });
  });

  it('of another attempt are not heard', () => {
    expect(after([vote('alpha', { kind: 'busy' }, 2), vote('beta', yes, 2)])).toEqual({ state: beginTransfer(request, undefined).state, send: [] });
  });

  it('may be waited for no longer', () => {
    expect(after([vote('alpha', yes), { kind: 'expired', attempt: 1 }]).persist).toEqual({ ...request, attempt: 1, verdict: abort });
    expect(after([{ kind: 'expired', attempt: 2 }]).state.kind).toBe('preparing');
  });
});

describe('the decision', () => {
  const deciding = [vote('alpha', yes), vote('beta', yes)];

  it.each([
    ['its commit', deciding, row(1, commit), { outcome: 'committed', attempt: 1, fingerprint: 'f1' }, { kind: 'succeeded', replayed: false, ...times }],
    ['an abort that came first', deciding, row(1, abort), { outcome: 'aborted', attempt: 1, fingerprint: 'f1' }, { kind: 'not-applied', why: 'timeout' }],
    ['an abort that jumped over it', deciding, row(3, abort), { outcome: 'aborted', attempt: 3, fingerprint: 'f1' }, { kind: 'not-applied', why: 'timeout' }],
    ['a commit that came before its timeout', [{ kind: 'expired', attempt: 1 }], row(1, commit), { outcome: 'committed', attempt: 1, fingerprint: 'f1' }, { kind: 'succeeded', replayed: false, ...times }],
    ['its decline', [vote('beta', { kind: 'no', reason: 'frozen', replayed: true })], row(1, decline), { outcome: 'aborted', attempt: 1, fingerprint: 'f1', reason: 'frozen' }, { kind: 'declined', reason: 'frozen', replayed: true, ...times }],
    ['the abort after a mismatch', [vote('beta', { kind: 'mismatch', field: 'memo' })], row(1, abort), { outcome: 'aborted', attempt: 1, fingerprint: 'f1' }, { kind: 'mismatch', field: 'memo' }],
    ['a commit that came before its mismatch', [vote('beta', { kind: 'mismatch', field: 'memo' })], row(1, commit), { outcome: 'committed', attempt: 1, fingerprint: 'f1' }, { kind: 'succeeded', replayed: false, ...times }],
  ] as const)('is what the log holds: %s', (_, inputs, decided, decision, reply) => {
    expect(after([...inputs, { kind: 'decided', row: decided }])).toEqual({
      state: { kind: 'delivering', decision, remaining: ['alpha', 'beta'], ownsRow: true },
      send: [{ kind: 'decide', bank: 'alpha', decision }, { kind: 'decide', bank: 'beta', decision }],
      reply,
    });
  });

  it('about another body releases what this attempt holds, and leaves the row to its owner', () => {
    const other = { ...request, fingerprint: 'f2', body: { ...body, amountMinor: 7n } };
    const step = after([...deciding, { kind: 'decided', row: row(1, commit, other) }]);
    expect(step.state).toEqual({
      kind: 'delivering', decision: { outcome: 'aborted', attempt: 1, fingerprint: 'f1' }, remaining: ['alpha', 'beta'], ownsRow: false,
    });
    expect(step.reply).toEqual({ kind: 'mismatch', field: 'amount.minor_units' });
    const end = after([{ kind: 'acknowledged', bank: 'alpha', attempt: 1 }, { kind: 'acknowledged', bank: 'beta', attempt: 1 }], step);
    expect(end).toEqual({ state: { kind: 'ended' }, send: [] });
  });
});

describe('the delivery', () => {
  it('is taken up again from the row, and tells no client', () => {
    const step = resumeDelivery(row(2, decline));
    expect(step.send.map(({ bank }) => bank)).toEqual(['alpha', 'beta']);
    expect(step.reply).toBeUndefined();
    expect(step.state).toMatchObject({ kind: 'delivering', ownsRow: true, decision: { outcome: 'aborted', reason: 'frozen', attempt: 2 } });
  });

  it('is finished when both banks have acknowledged its attempt, and not before', () => {
    const acknowledged = (bank: string, attempt = 1): CoordinatorInput => ({ kind: 'acknowledged', bank, attempt });
    const once = after([acknowledged('beta'), acknowledged('beta'), acknowledged('alpha', 2)], resumeDelivery(row(1, commit)));
    expect(once).toMatchObject({ state: { kind: 'delivering', remaining: ['alpha'] }, send: [] });
    expect(once.finished).toBeUndefined();
    expect(after([acknowledged('alpha')], once)).toEqual({ state: { kind: 'ended' }, send: [], finished: 1 });
  });
});

describe('a transfer inside one bank', () => {
  it.each([
    ['committed', { kind: 'committed', replayed: false, atMs: 5 }, { kind: 'succeeded', replayed: false, createdAtMs: 5, decidedAtMs: 5 }],
    ['committed before', { kind: 'committed', replayed: true }, { kind: 'succeeded', replayed: true }],
    ['no', { kind: 'no', reason: 'frozen', replayed: false }, { kind: 'declined', reason: 'frozen', replayed: false }],
    ['mismatch', { kind: 'mismatch', field: 'memo' }, { kind: 'mismatch', field: 'memo' }],
    ['unsent', { kind: 'unsent' }, { kind: 'not-applied', why: 'unreachable' }],
    ['fenced', { kind: 'fenced', fence: 3 }, { kind: 'not-applied', why: 'fenced' }],
    ['busy', { kind: 'busy' }, { kind: 'not-applied', why: 'busy' }],
    ['unauthorized', { kind: 'unauthorized' }, { kind: 'not-applied', why: 'unauthorized' }],
    ['invalid', { kind: 'invalid', field: 'to' }, { kind: 'not-applied', why: 'invalid' }],
    ['unreachable', { kind: 'unreachable' }, { kind: 'unknown' }],
    ['yes', { kind: 'yes' }, { kind: 'unknown' }],
  ] as const)('ends with the answer of its bank, without a row: %s', (_, said, reply) => {
    expect(after([vote('alpha', said)], beginTransfer(inside, undefined))).toEqual({ state: { kind: 'ended' }, send: [], reply });
  });

  it('is unknown when its time is up', () => {
    expect(after([{ kind: 'expired', attempt: 1 }], beginTransfer(inside, undefined)).reply).toEqual({ kind: 'unknown' });
  });
});

describe('whatever the state and the input', () => {
  const votes: fc.Arbitrary<Vote | Silence> = fc.constantFrom<Vote | Silence>(
    yes, { kind: 'no', reason: 'frozen', replayed: false }, { kind: 'committed', replayed: true }, { kind: 'fenced', fence: 2 }, { kind: 'busy' },
    { kind: 'mismatch', field: '' }, { kind: 'unauthorized' }, { kind: 'invalid', field: '' }, { kind: 'unsent' }, { kind: 'unreachable' },
  );
  const attempts = fc.integer({ min: 1, max: 3 });
  const banks = fc.constantFrom('alpha', 'beta');
  const inputs: fc.Arbitrary<CoordinatorInput> = fc.oneof(
    fc.record({ kind: fc.constant('vote' as const), bank: banks, attempt: attempts, vote: votes }),
    fc.record({ kind: fc.constant('expired' as const), attempt: attempts }),
    fc.record({ kind: fc.constant('decided' as const), row: fc.tuple(attempts, fc.constantFrom(commit, decline, abort)).map(([attempt, verdict]) => row(attempt, verdict)) }),
    fc.record({ kind: fc.constant('acknowledged' as const), bank: banks, attempt: attempts }),
  );
  const states: fc.Arbitrary<CoordinatorState> = fc.array(inputs, { maxLength: 6 }).map((given) => after(given).state);

  it('a repeated input changes nothing and does nothing', () => {
    fc.assert(fc.property(states, inputs, (state, input) => {
      const first = stepCoordinator(state, input);
      expect(stepCoordinator(first.state, input)).toEqual({ state: first.state, send: [] });
    }));
  });

  it('a step that persists sends nothing, replies nothing and finishes nothing', () => {
    fc.assert(fc.property(states, inputs, (state, input) => {
      const step = stepCoordinator(state, input);
      if (step.persist === undefined) return;
      expect([step.send, step.reply, step.finished]).toEqual([[], undefined, undefined]);
    }));
  });

  it('decisions are sent only when the log has answered', () => {
    fc.assert(fc.property(states, inputs, (state, input) => {
      if (stepCoordinator(state, input).send.some(({ kind }) => kind === 'decide')) expect(input.kind).toBe('decided');
    }));
  });
});
