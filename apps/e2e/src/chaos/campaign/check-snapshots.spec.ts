// What the check of snapshots finds, and what it lets pass, on copies of real stores: payments as a gateway and two banks write them, and
// damage done with SQL.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import * as ledger from '@strife/ledger';
import { newTransferId } from '@strife/sdk';
import { createLedgerResource, openDecisionLog, openLedgerStore } from '@strife/storage';
import type { LedgerStore, SqliteDecisionLog } from '@strife/storage';
import { fingerprintOf, mayReplace } from '@strife/two-phase-commit';
import type { LegState, Side, TransferBody } from '@strife/two-phase-commit';
import { createSnapshotCheck, PROBLEMS_MAX } from './check-snapshots.ts';
import type { SnapshotCheck } from './check-snapshots.ts';
import { takeSnapshots } from './snapshot.ts';
import type { StoreOfService } from './snapshot.ts';

const OPENING_MINOR = 1000n;
const LOG = 'g1.6f1c1c9e-4a2b-4a51-9d7a-0a5b8f1f0001';
const BODY: TransferBody = { from: { bank: 'alpha', account: 'ann' }, to: { bank: 'beta', account: 'ben' }, currency: 'EUR', amountMinor: 7n, memo: '' };
const BACK: TransferBody = { ...BODY, from: BODY.to, to: BODY.from };
const INSIDE: TransferBody = { ...BODY, to: { bank: 'alpha', account: 'amy' } };

type Step = 'prepare' | 'settle' | 'release' | 'apply';
const EFFECTS = { prepare: 'hold', settle: 'settle', release: 'release', apply: 'apply' } as const;

let folder: string;
let banks: Record<'alpha' | 'beta', LedgerStore>;
let log: SqliteDecisionLog;
let check: SnapshotCheck;
let looks: number;

const fileOf = (name: string): string => join(folder, `${name}.sqlite`);
const stores: Record<string, StoreOfService['role']> = { alpha: 'bank', beta: 'bank', g1: 'gateway' };
const failLoudly = (error: Error): void => {
  throw error;
};

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'strife-snapshots-'));
  const open = (bank: string, users: readonly string[]): LedgerStore => {
    const store = openLedgerStore({ file: fileOf(bank), bank, nowMs: Date.now, ledger, onFatal: failLoudly });
    store.createUsers(users.map((username) => ({ username, passwordHash: 'x', currency: 'EUR', openingMinor: OPENING_MINOR })));
    return store;
  };
  banks = { alpha: open('alpha', ['ann', 'amy']), beta: open('beta', ['ben']) };
  log = openDecisionLog({ file: fileOf('g1'), logId: LOG, nowMs: Date.now, mayReplace, onFatal: failLoudly });
  check = createSnapshotCheck({ alpha: 2n * OPENING_MINOR, beta: OPENING_MINOR });
  looks = 0;
});
afterEach(() => {
  for (const store of [...Object.values(banks), log]) store.close();
  rmSync(folder, { recursive: true });
});

/** Looks at the stores in this order, while they are open; `between` happens after the first was seen. */
function look(names: readonly string[] = ['alpha', 'beta', 'g1'], between?: () => void): string[] {
  looks += 1;
  const seeing = (some: readonly string[]) => takeSnapshots(some.map((name) => ({ role: stores[name]!, name, file: fileOf(name) })), join(folder, String(looks), some.join('-')));
  if (between === undefined) return check.check(seeing(names));
  const first = seeing(names.slice(0, 1));
  between();
  return check.check([...first, ...seeing(names.slice(1))]);
}

/** One step of one payment at one bank. */
async function advance(bank: 'alpha' | 'beta', step: Step, id: string, body: TransferBody, attempt = 1): Promise<void> {
  const side: Side = body.from.bank === body.to.bank ? 'both' : body.from.bank === bank ? 'debit' : 'credit';
  const known = { fingerprint: fingerprintOf(body), attempt };
  const state: LegState = step === 'release' ? { kind: 'aborted', ...known } : { kind: step === 'prepare' ? 'prepared' : 'committed', ...known, log: LOG };
  await createLedgerResource(banks[bank], ledger).write((batch) => batch.apply(id, { state, terms: { body, side, deadlineMs: Date.now() + 1000 } }, EFFECTS[step]));
}

async function decide(outcome: 'committed' | 'aborted', id: string, body: TransferBody, attempt = 1): Promise<void> {
  const verdict = outcome === 'committed' ? { outcome } : { outcome, why: 'timeout' as const };
  await log.decide([{ id, attempt, fingerprint: fingerprintOf(body), body, createdAtMs: Date.now(), verdict }], []);
}

async function prepare(body = BODY, attempt = 1, id = newTransferId()): Promise<string> {
  for (const bank of ['alpha', 'beta'] as const) await advance(bank, 'prepare', id, body, attempt);
  return id;
}

async function pay(body = BODY): Promise<string> {
  const id = await prepare(body);
  await decide('committed', id, body);
  for (const bank of ['alpha', 'beta'] as const) await advance(bank, 'settle', id, body);
  return id;
}

/** Writes past the owner, which goes on. */
function damage(name: string, sql: string): void {
  const database = new DatabaseSync(fileOf(name));
  database.exec(`PRAGMA ignore_check_constraints = ON; DROP TRIGGER IF EXISTS entries_stay; DROP TRIGGER IF EXISTS entries_stay_as_written; ${sql}`);
  database.close();
}

const blob = (id: string): string => `x'${id.replaceAll('-', '')}'`;

describe('snapshots of stores', () => {
  it('are right before, between and after the steps of payments, whichever store is seen first', async () => {
    const orders = [['alpha', 'beta', 'g1'], ['g1', 'beta', 'alpha'], ['beta', 'g1', 'alpha']];
    const isWell = (): void => expect(orders.map((names) => look(names))).toEqual(orders.map(() => []));
    isWell();
    const back = await prepare(BACK);
    await pay();
    await advance('alpha', 'apply', newTransferId(), INSIDE);
    isWell();
    await decide('aborted', back, BACK);
    isWell();
    await advance('alpha', 'release', back, BACK);
    isWell();
    await advance('beta', 'release', back, BACK);
    await prepare(BACK, 2, back);
    await decide('committed', back, BACK, 2);
    isWell();
    await advance('beta', 'settle', back, BACK, 2);
    isWell();
    await advance('alpha', 'settle', back, BACK, 2);
    isWell();
  });

  it('may show a payment at the later store alone, and one that is settled there and prepared at the earlier', async () => {
    await pay();
    const id = await prepare();
    await decide('committed', id, BODY);
    await advance('alpha', 'settle', id, BODY);
    expect(look(['beta', 'alpha', 'g1'])).toEqual([]);
    const next = newTransferId();
    // Seen at the payer's bank before it began, and at the payee's when it was over.
    const damaged = `INSERT INTO legs SELECT ${blob(next)}, state, attempt, log, fingerprint, side, account_id, payer, payee, peer, currency, 0, memo, deadline_ms, reason, prepared_at_ms, ended_at_ms, NULL FROM legs WHERE state = 1`;
    expect(look(['alpha', 'beta'], () => damage('beta', damaged)).filter((problem) => !problem.includes('invariant 4'))).toEqual([]);
  });

  it('that are wrong are named with what is wrong, the payment or account, and the time', async () => {
    const id = await pay();
    damage('alpha', "UPDATE accounts SET posted = posted + 5 WHERE kind = 0 AND name = 'ann'");
    damage('beta', `DELETE FROM legs WHERE id = ${blob(id)}`);
    const time = String.raw`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z`;
    expect(look().join('\n')).toMatch(new RegExp(`^alpha at ${time}: invariant 1: .*\\(alpha/ann\\)`, 'm'));
    expect(look().join('\n')).toMatch(new RegExp(`^beta at ${time}: payment ${id} is absent, and committed \\(attempt 1, log ${LOG}, .*\\) at alpha at ${time}$`, 'm'));
  });

  it('name so many problems at most', async () => {
    for (let payments = 0; payments <= PROBLEMS_MAX; payments += 1) await pay();
    damage('beta', 'DELETE FROM legs');
    expect(look()).toHaveLength(PROBLEMS_MAX);
  });
});

describe('among snapshots, there is found', () => {
  it.each<[string, string, (id: string) => string, RegExp]>([
    ['a total that is wrong', 'alpha', () => "UPDATE accounts SET posted = posted + 5 WHERE kind = 0 AND name = 'ann'", /all EUR accounts of alpha together are 5 and not zero/],
    ['a deposit that nobody made', 'beta', () => "UPDATE deposits SET amount = amount + 5", /all deposits together are 1005, and 1000 were made/],
    ['an account below its floor', 'alpha', () => "UPDATE accounts SET floor = 5000 WHERE kind = 0 AND name = 'amy'", /invariant 5: .* below the floor at alpha \(alpha\/amy\)/],
    ['a payment that the payee never got', 'beta', (id) => `DELETE FROM legs WHERE id = ${blob(id)}`, /is absent, and committed .* at alpha/],
    ['a payment that one bank released', 'beta', (id) => `UPDATE legs SET state = 2 WHERE id = ${blob(id)}`, /is aborted .*, and committed .* at alpha/],
    ['a payment that one bank declined', 'beta', (id) => `UPDATE legs SET state = 3, reason = 'payee_frozen' WHERE id = ${blob(id)}`, /is declined .*, and committed .* at alpha/],
    ['another attempt at one bank', 'beta', (id) => `UPDATE legs SET attempt = 2 WHERE id = ${blob(id)}`, /is committed \(attempt 2, .*, and committed \(attempt 1, .* at alpha/],
    ['another body at one bank', 'beta', (id) => `UPDATE legs SET fingerprint = zeroblob(16) WHERE id = ${blob(id)}`, /body 00000000\), and committed .* at alpha/],
    ['a decision that its log does not have', 'g1', (id) => `DELETE FROM decisions WHERE id = ${blob(id)}`, /^g1 .* is absent, and committed .* at beta/m],
    ['a decision that differs in its log', 'g1', (id) => `UPDATE decisions SET outcome = 2, reason = 'timeout' WHERE id = ${blob(id)}`, /^g1 .* is aborted .*, and committed .* at alpha/m],
    ['an amount that differs', 'beta',
      (id) => `UPDATE legs SET amount = 6 WHERE id = ${blob(id)}; UPDATE entries SET amount = amount - sign(amount) WHERE transfer_id = ${blob(id)}`,
      /clearing account towards alpha in EUR and that one's of .* are 1 further apart/],
  ])('%s', async (_what, name, sql, words) => {
    const id = await pay();
    expect(look()).toEqual([]);
    check = createSnapshotCheck({ alpha: 2n * OPENING_MINOR, beta: OPENING_MINOR });
    damage(name, sql(id));
    expect(look().join('\n')).toMatch(words);
  });

  it.each<[string, string, string]>([
    ['declined', "state = 3, attempt = 0, reason = 'payer_frozen'", 'declined'],
    ['released', 'state = 2', 'aborted'],
    ['prepared under a later attempt', 'attempt = 2', 'prepared'],
    ['prepared for another log', 'log = 99', 'prepared'],
  ])('half a payment whose other half was %s before', async (_what, other, was) => {
    const id = await prepare();
    await decide('committed', id, BODY);
    await advance('beta', 'settle', id, BODY);
    damage('alpha', `INSERT INTO legs SELECT * FROM all_legs WHERE id = ${blob(id)}; UPDATE legs SET ${other} WHERE id = ${blob(id)}`);
    expect(look(['alpha', 'beta']).join('\n')).toMatch(new RegExp(`^beta .*payment ${id} is committed .*, and ${was} .* at alpha at`, 'm'));
  });

  it('a payment that was not applied, and is applied all the same', async () => {
    const id = await prepare();
    await decide('aborted', id, BODY);
    for (const bank of ['alpha', 'beta'] as const) await advance(bank, 'settle', id, BODY);
    expect(look(['g1', 'alpha', 'beta']).join('\n')).toMatch(new RegExp(`^alpha .*payment ${id} is committed .*, and aborted .* at g1`, 'm'));
  });

  it.each<[string, string, (id: string) => string, RegExp]>([
    ['undone', 'alpha', (id) => `UPDATE legs SET state = 0 WHERE id = ${blob(id)}`, /^alpha .* is prepared .*, and at .* it was committed/m],
    ['forgotten', 'alpha', (id) => `DELETE FROM legs WHERE id = ${blob(id)}`, /^alpha .* is absent, and at .* it was committed/m],
    ['decided anew', 'g1', (id) => `UPDATE decisions SET outcome = 1, reason = 'x' WHERE id = ${blob(id)}`, /^g1 .* is declined .*, and at .* it was committed/m],
  ])('a commit that is %s later', async (_what, name, sql, words) => {
    const id = await pay();
    expect(look([name])).toEqual([]);
    damage(name, sql(id));
    expect(look([name]).join('\n')).toMatch(words);
  });
});
