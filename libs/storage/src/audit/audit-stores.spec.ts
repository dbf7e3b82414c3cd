import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mayReplace, type Verdict } from '@strife/two-phase-commit';
import { openDecisionLog } from '../decision-log.ts';
import type { LedgerStore } from '../ledger-store.ts';
import { FINGERPRINT, LOG, advance, idOf, openBank, payment, type Payment } from '../testing/bank-kit.ts';
import { temporaryDirectory, type TemporaryDirectory } from '../testing/temporary-directory.ts';
import { auditStores } from './audit-stores.ts';

function failLoudly(error: Error): void {
  throw error;
}

/** An id as SQL. */
const blob = (number: number) => `x'${idOf(number).replaceAll('-', '')}'`;

describe('auditStores', () => {
  let directory: TemporaryDirectory;
  let alpha: string;
  let beta: string;
  let gateway: string;
  let stores: LedgerStore[];
  /** What happens between two looks at a mismatch. */
  let pause: (durationMs: number) => void;

  beforeEach(() => {
    pause = () => undefined;
    directory = temporaryDirectory();
    alpha = directory.file('alpha.sqlite');
    beta = directory.file('beta.sqlite');
    gateway = directory.file('gateway.sqlite');
    stores = ['alpha', 'beta'].map((bank) => openBank(directory.file(`${bank}.sqlite`), bank));
    for (const store of stores) {
      store.createUsers(['alice', 'bob'].map((username) => ({ username, passwordHash: 'x', currency: 'EUR', openingMinor: 1_000n })));
    }
  });
  afterEach(() => {
    stop();
    directory.remove();
  });

  function stop(): void {
    for (const store of stores) store.close();
    stores = [];
  }

  const [one, two, inside] = [payment(1, 'alpha/alice', 'beta/bob', 100n), payment(2, 'beta/alice', 'alpha/bob', 30n), payment(3, 'alpha/alice', 'alpha/bob', 7n)];

  /** Settles payments 1 and 2 between the banks and 3 inside alpha, decides them, and deposits once. */
  async function happyDay(): Promise<void> {
    for (const store of stores) {
      advance(store, 'prepare', [one, two]);
      advance(store, 'settle', [one, two]);
    }
    advance(stores[0]!, 'apply', [inside]);
    stores[1]!.deposit(idOf(50), 'bob', { currency: 'EUR', minorUnits: 5n });
    await decide([one, two]);
  }

  async function decide(payments: readonly Payment[], verdict: Verdict = { outcome: 'committed' }, attempt = 1): Promise<void> {
    const log = openDecisionLog({ file: gateway, logId: LOG, nowMs: () => 0, mayReplace, onFatal: failLoudly });
    await log.decide(payments.map(({ number, body }) => ({ id: idOf(number), attempt, fingerprint: FINGERPRINT, body, createdAtMs: 0, verdict })), []);
    log.close();
  }

  function audit(banks = [alpha, beta], gateways = [gateway]) {
    return auditStores({ banks, gateways, pause });
  }

  function tamper(file: string, sql: string): void {
    stop();
    const database = new DatabaseSync(file);
    database.exec('PRAGMA ignore_check_constraints = ON; DROP TRIGGER IF EXISTS entries_stay; DROP TRIGGER IF EXISTS entries_stay_as_written');
    database.exec(sql);
    database.close();
  }

  /** What is found, as "invariant: message [ids]". */
  function found(): string[] {
    const { ok, violations } = audit();
    expect(ok).toBe(violations.length === 0);
    return violations.map(({ invariant, message, ids }) => `${invariant}: ${message} [${ids.join(' ')}]`);
  }

  describe('on sound books', () => {
    it('finds nothing, running or stopped, and says what it read', async () => {
      await happyDay();
      const running = audit();
      stop();
      expect(audit()).toEqual(running);
      expect(running).toEqual({
        ok: true,
        banks: [
          { name: 'alpha', accounts: 4, legs: 3, entries: 10, totals: { EUR: '1930' } },
          { name: 'beta', accounts: 4, legs: 2, entries: 10, totals: { EUR: '2075' } },
        ],
        transfersChecked: 3,
        inDoubt: 0,
        violations: [],
        notAudited: { banks: [], logs: [] },
      });
    });

    it('finds nothing in a bank alone, in banks without their gateway, and in nothing', async () => {
      await happyDay();
      expect([audit([alpha], []), audit([beta, alpha], []), audit([], [gateway]), audit([], [])].map(({ ok }) => ok)).toEqual([true, true, true, true]);
    });

    it('names the banks and logs that the books speak of and that it was not given, so that nothing hides behind them', async () => {
      await happyDay();
      expect(audit([alpha], []).notAudited).toEqual({ banks: ['beta'], logs: [LOG] });
      expect(audit([alpha, beta], []).notAudited).toEqual({ banks: [], logs: [LOG] });
      const minted = payment(6, 'nowhere/nobody', 'beta/bob', 777n);
      for (const step of ['prepare', 'settle'] as const) advance(stores[1]!, step, [minted]);
      expect(audit().notAudited).toEqual({ banks: ['nowhere'], logs: [] });
    });

    it('knows doubt from damage: a transfer settled at one bank and prepared at the other', async () => {
      await happyDay();
      const late = payment(4, 'alpha/bob', 'beta/alice', 11n);
      for (const store of stores) advance(store, 'prepare', [late]);
      expect(audit()).toMatchObject({ ok: true, inDoubt: 1 });
      await decide([late]);
      advance(stores[1]!, 'settle', [late]);
      expect(audit()).toMatchObject({ ok: true, inDoubt: 1 });
      advance(stores[0]!, 'settle', [late]);
      expect(audit()).toMatchObject({ ok: true, inDoubt: 0, transfersChecked: 4 });
    });

    it('accepts an abort at one bank before the other has heard of it, and declines', async () => {
      const [slow, poor] = [payment(4, 'alpha/bob', 'beta/alice', 11n), payment(5, 'alpha/bob', 'beta/alice', 12n)];
      for (const store of stores) advance(store, 'prepare', [slow]);
      await decide([slow], { outcome: 'aborted', why: 'timeout' });
      await decide([poor], { outcome: 'declined', reason: 'insufficient_funds' });
      advance(stores[0]!, 'release', [slow]);
      expect(audit()).toMatchObject({ ok: true, inDoubt: 1 });
    });

    it('looks again, and for about a second at most, before it believes a mismatch between stores', async () => {
      const late = payment(4, 'alpha/bob', 'beta/alice', 11n);
      for (const store of stores) advance(store, 'prepare', [late]);
      advance(stores[0]!, 'settle', [late]);
      const waits: number[] = [];
      pause = (durationMs) => void waits.push(durationMs);
      expect(audit([alpha, beta], [])).toMatchObject({ ok: true });
      expect(waits).toEqual([]);
      await decide([one]);
      expect(audit()).toMatchObject({ ok: false });
      expect(waits.reduce((sum, each) => sum + each)).toBeLessThanOrEqual(1_000);
      // Meanwhile the stores catch up: what the log decided reaches the banks, and what the bank settled reaches its log.
      pause = () => {
        pause = () => undefined;
        for (const store of stores) advance(store, 'prepare', [one]);
      };
      await decide([late]);
      expect(audit()).toMatchObject({ ok: true });
    });

    it('accepts another body under an id that never settled', () => {
      advance(stores[0]!, 'prepare', [one]);
      advance(stores[0]!, 'release', [one]);
      advance(stores[1]!, 'prepare', [payment(1, 'gamma/zoe', 'beta/bob', 5n)]);
      expect(audit([alpha, beta], [])).toMatchObject({ ok: true });
    });
  });

  describe('invariant 1', () => {
    beforeEach(happyDay);

    it('names a transfer whose entries do not sum to zero', () => {
      tamper(alpha, `UPDATE entries SET amount = amount + 1 WHERE transfer_id = ${blob(1)} AND amount < 0`);
      expect(found()).toContain(`1: the entries of a transfer do not sum to zero at alpha [${idOf(1)}]`);
    });

    it('names an account whose balance was changed', () => {
      tamper(alpha, "UPDATE accounts SET posted = posted + 5 WHERE kind = 0 AND name = 'bob'");
      expect(found()).toEqual([
        "1: an account's balance is not the sum of its entries at alpha [alpha/bob]",
        '1: all EUR accounts of alpha together are 5 and not zero [alpha/EUR]',
      ]);
    });

    it('names an account whose chain lost an entry', () => {
      tamper(alpha, `DELETE FROM entries WHERE transfer_id = ${blob(1)} AND amount < 0`);
      expect(found()).toContain('1: the chain of entries is broken at alpha [alpha/alice]');
    });

    it('names an account that points at another entry than its last', () => {
      tamper(alpha, "UPDATE accounts SET last_entry = 1 WHERE kind = 0 AND name = 'alice'");
      expect(found()).toEqual(['1: an account does not point at its last entry at alpha [alpha/alice]']);
    });

    it.each(['DELETE FROM accounts_shown', 'UPDATE accounts_shown SET up_to = up_to + 1', 'UPDATE accounts_shown SET up_to = -1'])('names a bank where it is not known which entries the accounts show: %s', (sql) => {
      tamper(alpha, sql);
      expect(found()).toContain('1: which entries the accounts show is not known at alpha [alpha]');
    });

    it('names an entry whose balance does not follow', () => {
      tamper(alpha, `UPDATE entries SET posted = posted + 1 WHERE transfer_id = ${blob(3)} AND amount < 0`);
      expect(found()).toContain("1: an entry's balance is not the one before plus its amount at alpha [alpha/alice]");
    });

    it('names a bank with entries that nothing accounts for, and a deposit that was changed', () => {
      tamper(alpha, `UPDATE entries SET transfer_id = NULL WHERE transfer_id = ${blob(3)}`);
      expect(found()).toContain('1: 6 entries belong to no transfer and 2 deposits account for 4 at alpha [alpha]');
      tamper(beta, `UPDATE deposits SET amount = 6 WHERE id = ${blob(50)}`);
      expect(found()).toContain('1: a deposit is not two entries that sum to zero at beta [beta/bob]');
    });

    it('names entries of an account that does not exist', () => {
      tamper(alpha, "DELETE FROM accounts WHERE kind = 2");
      expect(found()).toContain('1: entries of an account that does not exist at alpha [alpha/#2]');
    });
  });

  describe('invariant 2', () => {
    beforeEach(happyDay);

    it('names clearing accounts that are not opposite', () => {
      tamper(beta, "UPDATE accounts SET posted = posted - 5 WHERE kind = 1; UPDATE accounts SET posted = posted + 5 WHERE kind = 0 AND name = 'bob'");
      expect(found()).toContain('2: the clearing accounts of alpha and beta in EUR are not opposite: they are -5 apart [alpha/clearing/beta/EUR beta/clearing/alpha/EUR]');
    });

    it('is exact while transfers are in doubt', async () => {
      const late = payment(4, 'alpha/bob', 'beta/alice', 11n);
      for (const store of stores) advance(store, 'prepare', [late]);
      await decide([late]);
      advance(stores[0]!, 'settle', [late]);
      tamper(alpha, "UPDATE accounts SET posted = posted - 11 WHERE kind = 1");
      expect(found().filter((line) => line.startsWith('2'))).toEqual([
        '2: the clearing accounts of alpha and beta in EUR are not opposite: they are -11 apart [alpha/clearing/beta/EUR beta/clearing/alpha/EUR]',
      ]);
    });
  });

  describe('invariant 3', () => {
    it('names a transfer that is settled at one bank and aborted at the other', async () => {
      await decide([one]);
      for (const store of stores) advance(store, 'prepare', [one]);
      advance(stores[0]!, 'settle', [one]);
      advance(stores[1]!, 'release', [one]);
      expect(found()).toEqual([
        '2: the clearing accounts of alpha and beta in EUR are not opposite: they are 100 apart [alpha/clearing/beta/EUR beta/clearing/alpha/EUR]',
        `3: settled at alpha and aborted at beta [${idOf(1)}]`,
        `4: committed in log ${LOG} and aborted at beta [${idOf(1)}]`,
      ]);
    });

    it('names a transfer that one bank has lost', async () => {
      await happyDay();
      tamper(alpha, `DELETE FROM legs WHERE id = ${blob(2)}`);
      expect(found()).toEqual([
        `3: settled at beta and unknown at alpha [${idOf(2)}]`,
        `4: entries of a transfer that is not settled at alpha [${idOf(2)}]`,
        `4: committed in log ${LOG} and unknown at alpha [${idOf(2)}]`,
      ]);
    });

    it('names a transfer whose body differs between the banks', async () => {
      await happyDay();
      tamper(beta, `UPDATE legs SET memo = 'other' WHERE id = ${blob(1)}`);
      expect(found()).toEqual([`3: settled at alpha and committed with another body at beta [${idOf(1)}]`]);
    });

    it('names a transfer that the banks settled by different decisions', async () => {
      await happyDay();
      tamper(beta, `UPDATE legs SET attempt = 2 WHERE id = ${blob(1)}`);
      expect(found()).toContain(`3: settled at alpha and committed by another decision at beta [${idOf(1)}]`);
    });
  });

  describe('invariant 4', () => {
    it('names a committed transfer that a bank never saw', async () => {
      await happyDay();
      await decide([payment(8, 'alpha/alice', 'beta/bob', 1n)]);
      expect(found()).toEqual([
        `4: committed in log ${LOG} and unknown at alpha [${idOf(8)}]`,
        `4: committed in log ${LOG} and unknown at beta [${idOf(8)}]`,
      ]);
    });

    it('names a settled transfer that was told as declined or as not applied', async () => {
      for (const store of stores) {
        advance(store, 'prepare', [one, two]);
        advance(store, 'settle', [one, two]);
      }
      await decide([one], { outcome: 'declined', reason: 'payee_frozen' });
      await decide([two], { outcome: 'aborted', why: 'timeout' });
      expect(found()).toEqual([
        `4: declined in log ${LOG} and settled at alpha [${idOf(1)}]`,
        `4: declined in log ${LOG} and settled at beta [${idOf(1)}]`,
        `4: aborted in log ${LOG} and settled at alpha [${idOf(2)}]`,
        `4: aborted in log ${LOG} and settled at beta [${idOf(2)}]`,
      ]);
    });

    it('names a settled transfer that its log never decided', async () => {
      await happyDay();
      tamper(gateway, `DELETE FROM decisions WHERE id = ${blob(1)}`);
      expect(found()).toEqual([
        `4: settled at alpha and not decided in log ${LOG} [${idOf(1)}]`,
        `4: settled at beta and not decided in log ${LOG} [${idOf(1)}]`,
      ]);
    });

    it('names a transfer that is settled twice, and one that is settled without entries', async () => {
      await happyDay();
      tamper(alpha, `UPDATE entries SET transfer_id = ${blob(1)} WHERE transfer_id = ${blob(3)}`);
      expect(found()).toEqual([`4: settled, but its entries do not move its amount exactly once at alpha [${idOf(1)} ${idOf(3)}]`]);
    });
  });

  describe('invariant 5', () => {
    beforeEach(happyDay);

    it('names an account below its floor', () => {
      tamper(alpha, "UPDATE accounts SET floor = 100000 WHERE kind = 0 AND name = 'alice'");
      expect(found()).toEqual(['5: the balance is below the floor at alpha [alpha/alice]']);
    });

    it('names an account that prepared legs bring below its floor', () => {
      advance(stores[0]!, 'prepare', [payment(4, 'alpha/alice', 'beta/bob', 11n)]);
      tamper(alpha, "UPDATE accounts SET floor = posted - 10 WHERE kind = 0 AND name = 'alice'");
      expect(found()).toEqual(['5: what prepared legs take from an account would bring it below its floor at alpha [alpha/alice]']);
    });

    it('names a prepared leg whose accounts are not there', () => {
      advance(stores[0]!, 'prepare', [payment(4, 'alpha/alice', 'beta/bob', 11n)]);
      tamper(alpha, "UPDATE prepared SET legs = json_set(legs, '$[0][5]', 999)");
      expect(found()).toEqual([`5: prepared between accounts that do not exist at alpha [${idOf(4)}]`]);
    });
  });

  it('names the first twenty ids of many and counts them all', () => {
    const many = Array.from({ length: 30 }, (_, n) => payment(100 + n, 'alpha/alice', 'beta/bob', 1n));
    advance(stores[0]!, 'prepare', many);
    advance(stores[0]!, 'settle', many);
    const violation = audit([alpha, beta], []).violations.find(({ invariant }) => invariant === 3);
    expect(violation).toMatchObject({ message: 'settled at alpha and unknown at beta', count: 30 });
    expect(violation?.ids).toEqual(many.slice(0, 20).map(({ number }) => idOf(number)));
  });

  describe('given the wrong files', () => {
    it.each<[string, () => unknown, string]>([
      ['a missing one', () => audit([directory.file('none.sqlite')], []), 'none.sqlite does not exist'],
      ['a directory', () => audit([directory.path], []), 'is not a regular file'],
      ['a gateway for a bank', () => audit([gateway], []), 'is another kind of Strife store'],
      ['a bank for a gateway', () => audit([], [alpha]), 'is another kind of Strife store'],
      ['one bank twice', () => audit([alpha, alpha], []), 'alpha.sqlite is a second bank store of "alpha"'],
    ])('%s is refused by name', async (_, work, message) => {
      await decide([]);
      expect(work).toThrow(message);
    });

    it('does not make a missing file', () => {
      expect(() => audit([directory.file('none.sqlite')], [])).toThrow('does not exist');
      expect(() => audit([directory.file('none.sqlite')], [])).toThrow('does not exist');
    });
  });
});
