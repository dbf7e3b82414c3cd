// The real participant, ledger and books under random work, beside the same that never crash, forget or put off anything: they must agree on all that
// is said and shown.

import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as ledger from '@strife/ledger';
import { auditStores, createLedgerResource, openLedgerStore } from '@strife/storage';
import type { LedgerStore, LedgerStoreOptions } from '@strife/storage';
import { createParticipant } from '@strife/two-phase-commit';
import type { DecideCommand, Decision, Participant, PrepareCommand, Side, TransferBody } from '@strife/two-phase-commit';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import fc from 'fast-check';

const USERS = ['ann', 'ben', 'cat', 'dan', 'eve'];
const PEERS = ['beta', 'gamma'];
const LOGS = ['g1.6f1c1c9e-4a2b-4a51-9d7a-0a5b8f1f0001', 'g2.6f1c1c9e-4a2b-4a51-9d7a-0a5b8f1f0002'];
const STEPS = 50;
const RUNS = 80;

let folder: string;
let files = 0;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'strife-crashes-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A number below `n`. */
type Random = (n: number) => number;

/** A bank in one process, with its file. */
interface Bank {
  file: string;
  store: LedgerStore;
  participant: Participant;
}

function open(file: string, nowMs: () => number, limits: Partial<LedgerStoreOptions>): Bank {
  const onFatal = (error: Error): void => {
    throw error;
  };
  const store = openLedgerStore({ file, bank: 'alpha', nowMs, ledger, onFatal, ...limits });
  const clock = { nowMs, monotonicMs: nowMs, after: () => () => undefined, soon: queueMicrotask };
  const participant = createParticipant({ bank: 'alpha', clock, resource: createLedgerResource(store, ledger), onEnded: () => undefined, onAlarm: () => undefined });
  return { file, store, participant };
}

const newFile = (): string => join(folder, `${(files += 1)}.sqlite`);

/** Goes on from what a crash at this moment would leave: the files, and nothing of the memory. */
function crash({ file, store }: Bank): string {
  const next = newFile();
  for (const suffix of ['', '-wal']) if (existsSync(file + suffix)) cpSync(file + suffix, next + suffix);
  store.close();
  return next;
}

/** All that the books say. */
function shown({ store }: Bank, ids: readonly string[]): unknown {
  const accounts = [
    ...USERS.map((name) => store.account('customer', name)), store.account('equity', 'EUR'), ...PEERS.map((peer) => store.account('clearing', `${peer}/EUR`)),
  ];
  return {
    accounts: accounts.map((account) => account && { ...account, id: 0 }),
    transfers: USERS.map((name) => store.listTransfers(name, 1000).items.map(({ id, state }) => [id, state.kind])),
    entries: USERS.map((name) => store.listEntries(name, 1000).items),
    legs: ids.map((id) => ({ ...store.transfer(id), accountId: 0 })),
    inDoubt: [...store.legsInDoubt()].filter(({ leg }) => leg?.state.kind === 'prepared').map(({ id }) => id).sort(),
  };
}

/** Commands about payments, old and new, in every order and of every kind. */
function createWork(random: Random) {
  const commands = new Map<string, PrepareCommand>();
  const pick = <T>(items: readonly T[]): T => items[random(items.length)]!;
  const some = <T>(make: () => T): T[] => Array.from({ length: 1 + random(4) }, make);

  function begin(side: Side = pick(['debit', 'debit', 'debit', 'credit', 'both'])): PrepareCommand {
    const number = random(1_000_000);
    const id = `0197b2a0-0000-7000-8000-${number.toString(16).padStart(12, '0')}`;
    const owner = random(8) === 0 ? 'nobody' : pick(USERS);
    const other = pick(USERS.filter((name) => name !== owner));
    const outside = { bank: pick(PEERS), account: 'zoe' };
    const body: TransferBody = {
      from: side === 'credit' ? outside : { bank: 'alpha', account: owner }, to: side === 'debit' ? outside : { bank: 'alpha', account: side === 'credit' ? owner : other },
      currency: 'EUR', amountMinor: BigInt(1 + random(40)), memo: '',
    };
    const command = commands.get(id) ?? { id, log: pick(LOGS), attempt: 1, fingerprint: number.toString(16).padStart(32, '0'), terms: { body, side, deadlineMs: 9_000 } };
    commands.set(id, command);
    return command;
  }

  const known = (): PrepareCommand => (commands.size === 0 ? begin() : pick([...commands.values()]));

  function prepare(): PrepareCommand {
    if (random(3) > 0) return begin();
    const command = known();
    return { ...command, attempt: 1 + random(4), log: random(5) === 0 ? pick(LOGS) : command.log, expiresAtMs: random(4) === 0 ? 0 : undefined };
  }

  function decide(attemptOf: (id: string) => number): DecideCommand {
    const { id, log, fingerprint } = random(12) === 0 ? begin('debit') : known();
    const attempt = attemptOf(id);
    const abort: Decision = { outcome: 'aborted', attempt, fingerprint, ...(random(6) === 0 ? { reason: 'expired' } : {}) };
    return { id, log, decision: random(3) > 0 ? { outcome: 'committed', attempt, fingerprint } : abort };
  }

  return { pick, some, prepare, decide, ids: () => [...commands.keys()] };
}

async function compare(random: Random): Promise<void> {
  const work = createWork(random);
  let nowMs = 1_000;
  const clock = (): number => nowMs;
  const limits = { accountsCachedMax: 1 + random(4), preparedKeptMax: 1 + random(6), accountsLateMax: 1 + random(8), entriesLateMax: 2 + random(40) };
  const sound = open(newFile(), clock, {});
  let tried = open(newFile(), clock, limits);
  /** Both do it, and say the same. */
  async function both(act: (bank: Bank) => unknown): Promise<void> {
    const [said, expected] = await Promise.all([tried, sound].map(act));
    expect(said).toEqual(expected);
  }
  const attemptOf = (id: string): number => {
    const state = sound.store.transfer(id)?.state;
    return state !== undefined && 'attempt' in state ? state.attempt : 1 + random(2);
  };
  await both(({ store }) => store.createUsers(USERS.map((username) => ({ username, passwordHash: '', currency: 'EUR', openingMinor: 100n }))));
  for (let step = 0; step < STEPS; step += 1) {
    nowMs += random(3);
    const what = random(14);
    if (what < 9) {
      const legs = what < 5 ? work.some(work.prepare) : [];
      const decisions = what >= 5 || random(3) === 0 ? work.some(() => work.decide(attemptOf)) : [];
      await both(({ participant }) => Promise.all([legs.length > 0 && participant.prepare(legs), decisions.length > 0 && participant.decide(decisions)]));
    } else if (what === 9) {
      const [id, name] = [`0197b2a0-0000-7000-9000-${random(1_000_000).toString(16).padStart(12, '0')}`, work.pick(USERS)];
      await both(({ store }) => store.deposit(id, name, { currency: 'EUR', minorUnits: 7n }));
    } else if (what === 10) {
      const [name, frozen] = [work.pick(USERS), random(3) === 0];
      await both(({ store }) => store.setFrozen(name, frozen));
    } else if (what === 11) {
      tried.store.close();
      tried = open(tried.file, clock, limits);
    } else {
      tried = open(crash(tried), clock, limits);
    }
    // Not each time: looking loads accounts into memory.
    if (random(3) > 0) await both((bank) => shown(bank, work.ids()));
    if (random(10) === 0) await both(({ file }) => auditStores({ banks: [file], gateways: [] }).ok);
  }
  tried.store.close();
  sound.store.close();
}

/** Without the bias towards small numbers, which would be the first of each choice. */
const numbers = fc.infiniteStream(fc.noBias(fc.nat()));

it('agree', async () => {
  await fc.assert(fc.asyncProperty(numbers, (stream) => compare((n) => stream.next().value % n)), { numRuns: RUNS });
}, 240_000);
