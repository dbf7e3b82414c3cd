// What the coordinator answers a bank that asks about a leg it holds, and what has to be durable first.

import { beforeEach, describe, expect, it } from '@jest/globals';
import { createCoordinator } from './coordinator.ts';
import type { Coordinator } from './coordinator.ts';
import { acknowledgeAll, follow, voteYes } from './testing/conversation.ts';
import { alphaToBeta, createManualClock, createMemoryLog, createScriptedLink, requestOf, settled } from './testing/fake-ports.ts';
import type { ManualClock, MemoryLog, ScriptedLink } from './testing/fake-ports.ts';

let clock: ManualClock;
let log: MemoryLog;
let link: ScriptedLink;
let coordinator: Coordinator;

beforeEach(() => {
  clock = createManualClock();
  log = createMemoryLog(clock);
  link = createScriptedLink();
  coordinator = restart();
});

function restart(over: MemoryLog = log): Coordinator {
  return createCoordinator({ log: over, link, clock, prepareTimeoutMs: 2000, settleWaitMs: 1000 });
}

describe('inquiry', () => {
  it('tells from what runs here, without the log: pending until the decision is durable, then the decision', async () => {
    const deaf = { ...log, find: async (ids: readonly string[]) => (ids[0] === 't1' && asked++ === 0 ? [undefined] : Promise.reject(new Error('asked'))) };
    let asked = 0;
    const here = restart(deaf);
    const inquiry = { ...requestOf('t1'), attempt: 1, deadlineMs: 0 };
    follow(here.create(requestOf('t1'), 'grant', 'decided'));
    await settled();
    expect(await here.inquire([inquiry])).toEqual([{ kind: 'pending' }]);
    await voteYes(link);
    expect(await here.inquire([inquiry])).toEqual([{ kind: 'committed', attempt: 1 }]);
    await acknowledgeAll(link);
    await expect(here.inquire([inquiry])).rejects.toThrow('asked');
  });

  it('asks the log about another attempt or another body than the one that runs, and answers in order', async () => {
    follow(coordinator.create(requestOf('t1'), 'grant', 'decided'));
    follow(coordinator.create(requestOf('t2'), 'grant', 'decided'));
    await settled();
    const [first] = link.legs.splice(0, 1);
    first!.vote({ kind: 'no', reason: 'insufficient_funds', replayed: false });
    await settled();
    const ask = (id: string, attempt: number, amountMinor = alphaToBeta.amountMinor) =>
      ({ ...requestOf(id, { ...alphaToBeta, amountMinor }), attempt, deadlineMs: 0 });
    expect(await coordinator.inquire([ask('t1', 1, 9n), ask('t2', 1), ask('t9', 2), ask('t1', 1)])).toEqual([
      { kind: 'aborted', attempt: 1 }, { kind: 'pending' }, { kind: 'aborted', attempt: 2 }, { kind: 'aborted', attempt: 1, reason: 'insufficient_funds' },
    ]);
  });

  it('answers pending while the attempt runs here', async () => {
    follow(coordinator.create(requestOf('t1'), 'grant', 'decided'));
    await settled();
    expect(await coordinator.inquire([{ ...requestOf('t1'), attempt: 1, deadlineMs: 0 }])).toEqual([{ kind: 'pending' }]);
  });

  it('writes the abort of a transfer it does not know before it answers', async () => {
    expect(await coordinator.inquire([{ ...requestOf('t9'), attempt: 3, deadlineMs: 0 }])).toEqual([{ kind: 'aborted', attempt: 3 }]);
    expect(log.rows.get('t9')).toMatchObject({ attempt: 3, verdict: { outcome: 'aborted', why: 'inquiry' } });
  });

  it('answers with the commit that took the place of the abort it wanted to write', async () => {
    const racing: MemoryLog = Object.assign(Object.create(log) as MemoryLog, {
      async decide(...[proposals, finished]: Parameters<MemoryLog['decide']>) {
        await log.decide([{ ...requestOf('t9'), attempt: 1, verdict: { outcome: 'committed' } }], []);
        return await log.decide(proposals, finished);
      },
    });
    expect(await restart(racing).inquire([{ ...requestOf('t9'), attempt: 1, deadlineMs: 0 }])).toEqual([{ kind: 'committed', attempt: 1 }]);
    expect(link.decisions.map(({ decision }) => decision.outcome)).toEqual(['committed', 'committed']);
  });

  it('does not wait for a deadline that only a clock that jumped can have set', async () => {
    const shared = restart(createMemoryLog(clock, false));
    const inquiry = { ...requestOf('t9'), attempt: 1, deadlineMs: clock.nowMs() + 2000 };
    clock.step(-3_600_000);
    expect(await shared.inquire([inquiry])).toEqual([{ kind: 'aborted', attempt: 1 }]);
  });

  it('waits for the deadline where another gateway on the log might still run the attempt', async () => {
    const shared = restart(createMemoryLog(clock, false));
    const inquiry = { ...requestOf('t9'), attempt: 1, deadlineMs: clock.nowMs() + 100 };
    expect(await shared.inquire([inquiry])).toEqual([{ kind: 'pending' }]);
    await clock.advance(100);
    expect(await shared.inquire([inquiry])).toEqual([{ kind: 'aborted', attempt: 1 }]);
  });
});

it('delivers to the other bank an abort that only an inquiry led to', async () => {
  await coordinator.inquire([{ ...requestOf('t9'), attempt: 1, deadlineMs: 0 }]);
  expect(link.decisions.map(({ bank, decision }) => [bank, decision.outcome])).toEqual([['alpha', 'aborted'], ['beta', 'aborted']]);
  await acknowledgeAll(link);
  expect(await restart().recover()).toBe(0);
});

it('delivers an abort that an inquiry led to also where an earlier attempt is still being delivered', async () => {
  follow(coordinator.create(requestOf('t1'), 'grant', 'decided'));
  await settled();
  await clock.advance(2000);
  link.decisions.length = 0;
  await coordinator.inquire([{ ...requestOf('t1'), attempt: 2, deadlineMs: 0 }]);
  expect(link.decisions.map(({ bank, decision }) => [bank, decision.attempt])).toEqual([['alpha', 2], ['beta', 2]]);
});
