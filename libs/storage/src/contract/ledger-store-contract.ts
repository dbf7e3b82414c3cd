// What every driver of a bank's books must pass. The bank is called alpha.

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { CursorError } from '../store-error.ts';
import type { LedgerStore, Page } from '../ledger-store.ts';
import { sessionClaims } from './session-contract.ts';
import { timelineClaims } from './timeline-contract.ts';
import { FINGERPRINT, LOG, advance, idOf, idsInDoubt, payment, putLegs, type Payment, type Step } from '../testing/bank-kit.ts';

/** One store that outlives the books that are opened on it. */
export interface LedgerStoreHarness {
  /** Opens the store again after the last one was closed. Its clock says `nowMs`. */
  open(nowMs: () => number): LedgerStore;
  dispose(): void;
}

const user = (username: string, openingMinor = 0n) => ({ username, passwordHash: `hash of ${username}`, currency: 'EUR', openingMinor });
const eur = (minorUnits: bigint) => ({ currency: 'EUR', minorUnits });

/** @param parts `books` leaves out pages of history, sessions and timelines, which a driver for simulations does not have */
export function ledgerStoreContract(make: () => LedgerStoreHarness, parts: 'all' | 'books' = 'all'): void {
  describe("a bank's books", () => {
    let harness: LedgerStoreHarness;
    let store: LedgerStore;
    let nowMs: number;

    beforeEach(() => {
      nowMs = 1_000;
      harness = make();
      store = harness.open(() => nowMs);
      store.createUsers([user('alice', 10_000n), user('bob')]);
    });

    afterEach(() => {
      store.close();
      harness.dispose();
    });

    function reopen(): void {
      store.close();
      store = harness.open(() => nowMs);
    }

    /** The claim holds for what is in memory and for what is on disk. */
    function twice(claim: () => void): void {
      claim();
      reopen();
      claim();
    }

    const balances = (name: string) => {
      const account = store.account('customer', name);
      return account && [account.posted, account.held, account.incoming];
    };

    describe('accounts', () => {
      it('opens accounts with their balances from equity', () => {
        twice(() => {
          expect(balances('alice')).toEqual([10_000n, 0n, 0n]);
          expect(store.account('customer', 'bob')).toMatchObject({ kind: 'customer', currency: 'EUR', posted: 0n, floor: 0n, frozen: false });
          expect(store.account('equity', 'EUR')).toMatchObject({ posted: -10_000n, floor: null });
          expect(store.account('customer', 'nobody')).toBeUndefined();
        });
      });

      it('finds an account by its id as by its name', () => {
        const alice = store.account('customer', 'alice')!;
        const byId = (id: number) => store.write((books) => books.accountById(id)?.account);
        twice(() => expect([byId(alice.id), byId(999)]).toEqual([alice, undefined]));
      });

      it('leaves users that exist as they are, and makes the others', () => {
        expect(store.createUsers([{ ...user('alice', 77n), passwordHash: 'other' }, user('carol', 5n), user('carol', 6n)])).toEqual(['carol']);
        twice(() => {
          expect([balances('alice'), balances('carol')]).toEqual([[10_000n, 0n, 0n], [5n, 0n, 0n]]);
          expect(store.userHash('alice')).toBe('hash of alice');
          expect(store.userHash('nobody')).toBeUndefined();
        });
      });

      it('makes no user when one opening balance does not fit', () => {
        const large = 9n * 10n ** 18n;
        expect(() => store.createUsers([user('dave', 1n), user('eve', large)])).toThrow('opening balance of eve');
        twice(() => expect(store.account('customer', 'dave')).toBeUndefined());
        expect(store.createUsers([user('dave', 1n)])).toEqual(['dave']);
      });

      it('makes one clearing account for each peer and currency', () => {
        const clearing = (currency: string) => store.write((books) => books.clearing('beta', currency).account);
        expect(store.account('clearing', 'beta/EUR')).toBeUndefined();
        const made = clearing('EUR');
        expect(made).toMatchObject({ kind: 'clearing', name: 'beta/EUR', posted: 0n, floor: null });
        twice(() => expect([clearing('EUR'), store.account('clearing', 'beta/EUR')]).toEqual([made, made]));
        expect(clearing('USD').id).not.toBe(made.id);
      });

      it('freezes and thaws, and what settles meanwhile does not undo it', () => {
        advance(store, 'prepare', [payment(1, 'alpha/alice', 'beta/bob', 1n)]);
        expect(store.setFrozen('alice', true)).toBe(true);
        advance(store, 'settle', [payment(1, 'alpha/alice', 'beta/bob', 1n)]);
        twice(() => expect(store.account('customer', 'alice')?.frozen).toBe(true));
        store.setFrozen('alice', false);
        twice(() => expect(store.account('customer', 'alice')?.frozen).toBe(false));
        expect(store.setFrozen('nobody', true)).toBe(false);
      });
    });

    describe('deposits', () => {
      it('apply once for each id', () => {
        const first = store.deposit(idOf(1), 'bob', eur(500n));
        expect(first).toMatchObject({ kind: 'deposited', replayed: false, account: { posted: 500n } });
        twice(() => {
          expect(store.deposit(idOf(1), 'bob', eur(500n))).toMatchObject({ kind: 'deposited', replayed: true, account: { posted: 500n } });
          expect(store.account('equity', 'EUR')?.posted).toBe(-10_500n);
        });
      });

      it('refuse the same id with another content, by the field that differs', () => {
        store.deposit(idOf(1), 'bob', eur(500n));
        expect(store.deposit(idOf(1), 'alice', eur(500n))).toEqual({ kind: 'mismatch', field: 'account' });
        expect(store.deposit(idOf(1), 'bob', { currency: 'USD', minorUnits: 500n })).toEqual({ kind: 'mismatch', field: 'amount.currency' });
        expect(store.deposit(idOf(1), 'bob', eur(501n))).toEqual({ kind: 'mismatch', field: 'amount.minor_units' });
      });

      it('are declined as a credit is, and the id stays free', () => {
        expect(store.deposit(idOf(1), 'nobody', eur(5n))).toEqual({ kind: 'declined', reason: 'no_such_payee' });
        expect(store.deposit(idOf(1), 'bob', { currency: 'USD', minorUnits: 5n })).toEqual({ kind: 'declined', reason: 'payee_currency' });
        expect(store.deposit(idOf(1), 'bob', eur(9n * 10n ** 18n))).toEqual({ kind: 'declined', reason: 'limit_exceeded' });
        expect(store.deposit(idOf(1), 'bob', eur(5n))).toMatchObject({ kind: 'deposited' });
      });
    });

    describe('legs', () => {
      it('are kept as they were written, with the times at which they were', () => {
        const pay = payment(1, 'alpha/alice', 'beta/bob', 100n);
        advance(store, 'prepare', [pay]);
        const terms = { body: pay.body, side: 'debit', deadlineMs: 9_000 };
        const prepared = { id: idOf(1), state: { kind: 'prepared', fingerprint: FINGERPRINT, attempt: 1, log: LOG }, terms, preparedAtMs: 1_000, endedAtMs: null };
        twice(() => expect(store.transfer(idOf(1))).toMatchObject(prepared));
        nowMs = 2_000;
        advance(store, 'settle', [pay]);
        twice(() => expect(store.transfer(idOf(1))).toMatchObject({ ...prepared, state: { kind: 'committed', log: LOG }, endedAtMs: 2_000 }));
        expect(balances('alice')).toEqual([9_900n, 0n, 0n]);
      });

      it.each<[string, string, string]>([
        ['debit', 'alpha/alice', 'beta/zoe'],
        ['credit', 'beta/zoe', 'alpha/alice'],
        ['both', 'alpha/alice', 'alpha/bob'],
      ])('of side %s come back with their body', (side, from, to) => {
        const pay = payment(1, from, to, 100n);
        advance(store, side === 'both' ? 'apply' : 'prepare', [pay]);
        twice(() => expect(store.transfer(idOf(1))?.terms).toEqual({ body: pay.body, side, deadlineMs: 9_000 }));
      });

      it('of a malformed id are refused, and the books go on', () => {
        for (const id of ['', 'x', idOf(10).toUpperCase(), `${idOf(1)}0`]) {
          expect(() => store.transfer(id)).toThrow(RangeError);
          expect(() => store.deposit(id, 'bob', eur(1n))).toThrow(RangeError);
        }
        expect(store.transfer(idOf(1))).toBeUndefined();
      });

      it('find only the ids that exist, and find them once written', () => {
        const found = () => [1, 2, 1].map((number) => store.transfer(idOf(number))?.id);
        expect(found()).toEqual([undefined, undefined, undefined]);
        advance(store, 'prepare', [payment(1, 'alpha/alice', 'beta/bob', 100n)]);
        twice(() => expect(found()).toEqual([idOf(1), undefined, idOf(1)]));
      });

      it('are found in whatever order of their ids they came, those that have ended too', () => {
        const numbers = [500, 1, 900, 899, 250, 901];
        const kindOf = (number: number) => store.transfer(idOf(number))?.state.kind;
        const found = () => [...numbers, 0, 2, 902].map(kindOf);
        for (const [index, number] of numbers.entries()) {
          advance(store, 'prepare', [payment(number, 'alpha/alice', 'beta/bob', 1n)]);
          if (index % 2 === 0) advance(store, 'settle', [payment(number, 'alpha/alice', 'beta/bob', 1n)]);
        }
        const kinds = ['committed', 'prepared', 'committed', 'prepared', 'committed', 'prepared', undefined, undefined, undefined];
        twice(() => expect(found()).toEqual(kinds));
        advance(store, 'prepare', [payment(700, 'alpha/alice', 'beta/bob', 1n), payment(950, 'alpha/alice', 'beta/bob', 1n), payment(940, 'alpha/alice', 'beta/bob', 1n)]);
        twice(() => expect([940, 700, 950, 960].map(kindOf)).toEqual(['prepared', 'prepared', 'prepared', undefined]));
      });

      it('keep fences of ids that were never prepared, and take their terms with a later attempt', () => {
        const state = { kind: 'aborted', fingerprint: FINGERPRINT, attempt: 3 } as const;
        putLegs(store, [{ number: 1, state }]);
        twice(() => {
          expect(store.transfer(idOf(1))).toMatchObject({ state, accountId: null, endedAtMs: 1_000 });
          expect(store.transfer(idOf(1))?.terms).toBeUndefined();
        });
        nowMs = 2_000;
        advance(store, 'prepare', [payment(1, 'alpha/alice', 'beta/bob', 100n)]);
        twice(() => expect(store.transfer(idOf(1))).toMatchObject({ state: { kind: 'prepared' }, preparedAtMs: 2_000, endedAtMs: null }));
        if (parts === 'all') expect(store.listTransfers('alice', 10).items).toHaveLength(1);
      });

      it('keep the reason of a decline, with and without terms', () => {
        const state = { kind: 'declined', fingerprint: FINGERPRINT, reason: 'no_such_payer' } as const;
        const { body } = payment(2, 'alpha/nobody', 'beta/bob', 100n);
        putLegs(store, [{ number: 1, state }, { number: 2, state, terms: { body, side: 'debit', deadlineMs: 1 }, endedAtMs: 777 }]);
        twice(() => {
          expect(store.transfer(idOf(1))?.state).toEqual(state);
          expect(store.transfer(idOf(2))).toMatchObject({ state, terms: { body }, endedAtMs: 777 });
        });
      });

      it('in doubt are found at start, in the order of their ids, and no others', () => {
        const payments = [3, 1, 2].map((number) => payment(number, 'alpha/alice', 'beta/bob', 10n));
        advance(store, 'prepare', payments);
        advance(store, 'settle', [payments[0]!]);
        advance(store, 'prepare', [payment(4, 'beta/zoe', 'alpha/bob', 10n)]);
        advance(store, 'release', [payments[1]!]);
        twice(() => expect(store.inDoubt()).toMatchObject({ legs: 2 }));
        twice(() => expect(idsInDoubt(store)).toEqual([idOf(2), idOf(4)]));
      });

      it('may change several times in one write, which sees each change at once', () => {
        const { body } = payment(1, 'alpha/alice', 'beta/bob', 100n);
        const leg = (attempt: number) => ({
          number: 1, state: { kind: 'aborted', fingerprint: FINGERPRINT, attempt } as const, terms: { body, side: 'debit', deadlineMs: attempt } as const, owner: 'alice',
        });
        putLegs(store, [leg(1), leg(2)]);
        advance(store, 'apply', [payment(2, 'alpha/alice', 'alpha/bob', 1n), payment(3, 'alpha/bob', 'alpha/alice', 1n)]);
        store.write((books) => {
          expect([books.leg(idOf(1)).leg?.state, books.account('customer', 'alice')?.account.posted]).toEqual([leg(2).state, 10_000n]);
          expect([books.leg(idOf(9)).leg, books.account('customer', 'nobody')]).toEqual([undefined, undefined]);
          expect(books.account('customer', 'alice')).toBe(books.account('customer', 'alice'));
        });
        twice(() => expect(store.transfer(idOf(1))).toMatchObject({ state: { attempt: 2 }, terms: { deadlineMs: 2 } }));
      });

      it('cannot change a balance without an entry', () => {
        expect(() => store.write((books) => {
          const [alice, clearing] = [books.account('customer', 'alice')!, books.clearing('beta', 'EUR')];
          books.move(idOf(1), alice, clearing, { debited: { ...alice.account, posted: 9_999n }, credited: clearing.account });
        })).toThrow('without an entry');
        reopen();
        expect(balances('alice')).toEqual([10_000n, 0n, 0n]);
      });

      it('by the thousand in one write keep every balance', () => {
        const payments = Array.from({ length: 2_000 }, (_, number) => payment(number, 'alpha/alice', 'beta/bob', 1n));
        advance(store, 'prepare', payments);
        twice(() => expect(balances('alice')).toEqual([10_000n, 2_000n, 0n]));
        advance(store, 'settle', payments);
        twice(() => expect([balances('alice'), store.account('clearing', 'beta/EUR')?.posted]).toEqual([[8_000n, 0n, 0n], 2_000n]));
      });
    });

    if (parts === 'books') return;

    sessionClaims({ store: () => store, reopen });
    timelineClaims({
      store: () => store,
      setTime: (toMs) => {
        nowMs = toMs;
      },
      reopenAt: (toMs) => {
        nowMs = toMs;
        reopen();
      },
    });

    describe('history', () => {
      beforeEach(() => {
        const payments = [payment(1, 'alpha/alice', 'beta/zoe', 10n), payment(2, 'beta/zoe', 'alpha/alice', 20n)];
        advance(store, 'prepare', payments);
        nowMs = 2_000;
        advance(store, 'settle', payments);
        advance(store, 'apply', [payment(3, 'alpha/alice', 'alpha/bob', 30n)]);
      });

      it('lists entries newest first, with counterparty, memo and balance', () => {
        const line = (transfer: number, counterparty: string, amount: bigint, posted: bigint) => ({
          transferId: idOf(transfer), counterparty: { bank: counterparty.split('/')[0], account: counterparty.split('/')[1] },
          amount: eur(amount), posted: eur(posted), memo: `payment ${transfer}`, settledAtMs: 2_000,
        });
        twice(() => {
          expect(store.listEntries('alice', 10)).toEqual({
            items: [
              line(3, 'alpha/bob', -30n, 9_980n), line(2, 'beta/zoe', 20n, 10_010n), line(1, 'beta/zoe', -10n, 9_990n),
              { amount: eur(10_000n), posted: eur(10_000n), memo: '', settledAtMs: 1_000 },
            ],
          });
          expect(store.listEntries('bob', 10).items).toEqual([line(3, 'alpha/alice', 30n, 30n)]);
        });
      });

      it('pages through entries without a gap or a repetition, while new ones arrive', () => {
        const first = store.listEntries('alice', 3);
        advance(store, 'apply', [payment(4, 'alpha/alice', 'alpha/bob', 1n)]);
        const second = store.listEntries('alice', 3, first.nextCursor);
        expect([...first.items, ...second.items].map(({ posted }) => posted.minorUnits)).toEqual([9_980n, 10_010n, 9_990n, 10_000n]);
        expect(second.nextCursor).toBeUndefined();
      });

      it('lists the transfers that the customer pays, newest first, and not those that were aborted', () => {
        const aborted = payment(5, 'alpha/alice', 'beta/zoe', 1n);
        advance(store, 'prepare', [aborted]);
        advance(store, 'release', [aborted]);
        advance(store, 'prepare', [payment(6, 'alpha/alice', 'beta/zoe', 1n)]);
        twice(() => {
          expect(store.listTransfers('alice', 10).items.map(({ id }) => id)).toEqual([idOf(6), idOf(3), idOf(1)]);
          expect(store.listTransfers('bob', 10)).toEqual({ items: [] });
        });
        const first = store.listTransfers('alice', 2);
        expect(store.listTransfers('alice', 2, first.nextCursor)).toMatchObject({ items: [{ id: idOf(1) }] });
      });

      const many = (from: number, count: number) => Array.from({ length: count }, (_, index) => payment(from + index, 'alpha/alice', 'beta/zoe', 1n));
      const take = (payments: Payment[], ...steps: Step[]) => steps.forEach((step) => advance(store, step, payments));
      const ids = (payments: readonly Payment[]) => payments.map(({ number }) => idOf(number)).toReversed();

      /** Every page there is, with something done after each. */
      function pagesOf<Item>(list: (cursor?: string) => Page<Item>, between: () => void = () => undefined): (readonly Item[])[] {
        const pages: (readonly Item[])[] = [];
        for (let cursor: string | undefined; pages.length === 0 || cursor !== undefined; between()) {
          const page = list(cursor);
          pages.push(page.items);
          cursor = page.nextCursor;
        }
        return pages;
      }

      it('looks at 200 rows for a page at most, whatever was asked for, and then gives the rest under its cursor', () => {
        const payments = many(10, 450);
        take(payments, 'prepare', 'settle');
        twice(() => {
          const transfers = pagesOf((cursor) => store.listTransfers('alice', 1_000, cursor));
          expect(transfers.map(({ length }) => length)).toEqual([200, 200, 52]);
          expect(transfers.flat().map(({ id }) => id)).toEqual([...ids(payments), idOf(3), idOf(1)]);
          const entries = pagesOf((cursor) => store.listEntries('alice', 1_000, cursor));
          expect(entries.map(({ length }) => length)).toEqual([200, 200, 54]);
          expect(entries.flat().map(({ transferId }) => transferId)).toEqual([...ids(payments), idOf(3), idOf(2), idOf(1), undefined]);
        });
      });

      it('counts aborted transfers as looked at: a page may be empty and not the last', () => {
        const [older, newer] = [many(10, 250), many(300, 250)];
        take(older, 'prepare', 'release');
        take(many(260, 1), 'prepare', 'settle');
        take(newer, 'prepare', 'release');
        twice(() => {
          const pages = pagesOf((cursor) => store.listTransfers('alice', 50, cursor));
          expect(pages.map((page) => page.map(({ id }) => id))).toEqual([[], [idOf(260)], [idOf(3), idOf(1)]]);
        });
      });

      it('has no page after one that ends with the oldest row', () => {
        expect(store.listEntries('alice', 4)).not.toHaveProperty('nextCursor');
        expect(store.listTransfers('alice', 2)).not.toHaveProperty('nextCursor');
      });

      it('shows each transfer exactly once while new ones arrive and others end', () => {
        const doubtful = many(10, 30);
        take(doubtful, 'prepare');
        const before = [...ids(doubtful), idOf(3), idOf(1)];
        let next = 100;
        const shown = pagesOf((cursor) => store.listTransfers('alice', 7, cursor), () => {
          take(many(next, 5), 'prepare', 'settle');
          take(many(next + 5, 5), 'prepare', 'release');
          const settled = doubtful.shift();
          if (settled !== undefined) take([settled], 'settle');
          next += 10;
        });
        expect(shown.flat().map(({ id }) => id)).toEqual(before);
        expect(pagesOf((cursor) => store.listTransfers('alice', 7, cursor)).flat()).toHaveLength(before.length + 5 * shown.length);
      });

      it('goes on from a cursor whose transfer was aborted meanwhile', () => {
        const doubtful = many(10, 3);
        take(doubtful, 'prepare');
        const { nextCursor } = store.listTransfers('alice', 1);
        expect(nextCursor).toBe(idOf(11));
        take(doubtful, 'release');
        expect(store.listTransfers('alice', 10, nextCursor).items.map(({ id }) => id)).toEqual([idOf(3), idOf(1)]);
      });

      it('is empty for an unknown account', () => {
        expect([store.listEntries('nobody', 10), store.listTransfers('nobody', 10)]).toEqual([{ items: [] }, { items: [] }]);
      });

      it("refuses another account's cursors and made-up ones", () => {
        const entries = store.listEntries('alice', 1).nextCursor!;
        const transfers = store.listTransfers('alice', 1).nextCursor!;
        for (const cursor of [entries, '0', '-1', '1e3', '999999', '', 'x'.repeat(10_000), transfers]) {
          expect(() => store.listEntries('bob', 10, cursor)).toThrow(CursorError);
        }
        for (const cursor of [transfers, idOf(2), idOf(99), '', 'x', entries]) {
          expect(() => store.listTransfers('bob', 10, cursor)).toThrow(CursorError);
        }
        expect(() => store.listTransfers('alice', 10, idOf(2))).toThrow(CursorError);
        // The store goes on.
        expect(store.listTransfers('alice', 10).items).toHaveLength(2);
      });
    });
  });
}
