import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { available, type Account } from './account.ts';
import { LedgerInvariantError, applyInside, deposit, hold, mayCredit, mayDebit, release, settleCredit, settleDebit, type Pair } from './ledger.ts';
import { AMOUNT_MINOR_MAX, BALANCE_MINOR_MAX, type Money } from './money.ts';

const eur = (minorUnits: bigint): Money => ({ currency: 'EUR', minorUnits });

function account(over: Partial<Account>): Account {
  return { id: 1, kind: 'customer', name: 'alice', currency: 'EUR', posted: 0n, held: 0n, incoming: 0n, floor: 0n, frozen: false, ...over };
}

const alice = account({ id: 1, posted: 100n });
const bob = account({ id: 2, name: 'bob' });
const clearing = account({ id: 3, kind: 'clearing', name: 'beta/EUR', floor: null });
const equity = account({ id: 4, kind: 'equity', name: 'EUR', floor: null });

describe('mayDebit', () => {
  it('lets a payer spend all that is available and not one unit more', () => {
    const payer = account({ posted: 100n, held: 30n });
    expect(mayDebit(payer, eur(70n))).toBeUndefined();
    expect(mayDebit(payer, eur(71n))).toBe('insufficient_funds');
  });

  it('counts from the floor', () => {
    expect(mayDebit(account({ posted: 0n, floor: -50n }), eur(50n))).toBeUndefined();
    expect(mayDebit(account({ posted: 0n, floor: -50n }), eur(51n))).toBe('insufficient_funds');
  });

  it('does not let incoming money be spent before it is settled', () => {
    expect(mayDebit(account({ posted: 0n, incoming: 100n }), eur(1n))).toBe('insufficient_funds');
  });

  it('names what else stands in the way', () => {
    expect(mayDebit(undefined, eur(1n))).toBe('no_such_payer');
    expect(mayDebit({ ...alice, frozen: true }, eur(1n))).toBe('payer_frozen');
    expect(mayDebit({ ...alice, currency: 'USD' }, eur(1n))).toBe('payer_currency');
    expect(mayDebit({ ...clearing, posted: -BALANCE_MINOR_MAX }, eur(1n))).toBe('limit_exceeded');
  });
});

describe('mayCredit', () => {
  it('keeps room for all credits that are prepared already', () => {
    const payee = account({ posted: BALANCE_MINOR_MAX - 10n, incoming: 6n });
    expect(mayCredit(payee, eur(4n))).toBeUndefined();
    expect(mayCredit(payee, eur(5n))).toBe('limit_exceeded');
  });

  it('names what else stands in the way', () => {
    expect(mayCredit(undefined, eur(1n))).toBe('no_such_payee');
    expect(mayCredit({ ...bob, frozen: true }, eur(1n))).toBe('payee_frozen');
    expect(mayCredit({ ...bob, currency: 'USD' }, eur(1n))).toBe('payee_currency');
  });
});

describe('a debit leg', () => {
  it('moves held money to clearing when it settles', () => {
    const { debited, credited } = hold(alice, clearing, eur(60n));
    expect([debited.posted, debited.held, available(debited)]).toEqual([100n, 60n, 40n]);
    const settled = settleDebit(debited, credited, eur(60n));
    expect(settled.debited).toEqual({ ...alice, posted: 40n });
    expect(settled.credited).toEqual({ ...clearing, posted: 60n });
    expect(settled.entries).toEqual([
      { accountId: 1, amountMinor: -60n, postedMinor: 40n },
      { accountId: 3, amountMinor: 60n, postedMinor: 60n },
    ]);
  });

  it('leaves no trace when it is released', () => {
    const { debited, credited } = hold(alice, clearing, eur(60n));
    expect(release(debited, credited, eur(60n))).toEqual({ debited: alice, credited: clearing });
  });

  it('settles although the account was frozen after the YES', () => {
    const { debited, credited } = hold(alice, clearing, eur(60n));
    expect(settleDebit({ ...debited, frozen: true }, credited, eur(60n)).debited.posted).toBe(40n);
  });
});

describe('a credit leg', () => {
  it('moves money from clearing when it settles, frozen or not', () => {
    const { debited, credited } = hold(clearing, bob, eur(60n));
    expect(available(credited)).toBe(0n);
    const settled = settleCredit(debited, { ...credited, frozen: true }, eur(60n));
    expect([settled.debited.posted, settled.credited.posted]).toEqual([-60n, 60n]);
  });
});

describe('inside one bank', () => {
  it('pays at once', () => {
    const { debited, credited } = applyInside(alice, bob, eur(100n));
    expect([debited.posted, credited.posted]).toEqual([0n, 100n]);
  });

  it('deposits from equity', () => {
    expect(deposit(equity, bob, eur(5n)).debited.posted).toBe(-5n);
  });
});

describe('broken preconditions', () => {
  it.each<[string, () => unknown]>([
    ['a settle without a hold', () => settleDebit(alice, clearing, eur(1n))],
    ['a settle of more than is held', () => settleDebit({ ...alice, held: 5n }, { ...clearing, incoming: 9n }, eur(6n))],
    ['a credit settle without room kept', () => settleCredit({ ...clearing, held: 9n }, bob, eur(6n))],
    ['a release without a hold', () => release(alice, clearing, eur(1n))],
    ['a release in another currency', () => release({ ...alice, held: 5n }, { ...clearing, incoming: 5n }, { currency: 'USD', minorUnits: 5n })],
    ['a hold that mayDebit refuses', () => hold(alice, clearing, eur(101n))],
    ['a hold that mayCredit refuses', () => hold(clearing, { ...bob, frozen: true }, eur(1n))],
    ['an amount of zero', () => hold(alice, clearing, eur(0n))],
    ['a negative amount', () => mayDebit(alice, eur(-1n))],
    ['an account that pays itself', () => applyInside(alice, alice, eur(1n))],
    ['a debit leg of a clearing account', () => settleDebit(clearing, alice, eur(1n))],
    ['a credit leg to clearing', () => settleCredit(alice, clearing, eur(1n))],
    ['a deposit from a customer', () => deposit(alice, bob, eur(1n))],
  ])('%s throws and changes nothing', (_, work) => {
    expect(work).toThrow(LedgerInvariantError);
  });
});

/** A bank of four accounts, driven by random operations; legs are settled and released in any order. */
interface Leg {
  readonly from: number;
  readonly to: number;
  readonly amount: Money;
}

type Operation =
  | { readonly kind: 'prepare' | 'inside' | 'deposit'; readonly payer: number; readonly payee: number; readonly minor: bigint }
  | { readonly kind: 'settle' | 'release'; readonly which: number }
  | { readonly kind: 'freeze'; readonly payer: number; readonly frozen: boolean };

const minorUnits = fc.oneof(fc.bigInt(1n, 50n), fc.bigInt(1n, AMOUNT_MINOR_MAX), fc.bigInt(BALANCE_MINOR_MAX / 3n, BALANCE_MINOR_MAX));
const someAccount = fc.integer({ min: 1, max: 4 });
const operation: fc.Arbitrary<Operation> = fc.oneof(
  fc.record({ kind: fc.constantFrom('prepare' as const, 'inside' as const, 'deposit' as const), payer: someAccount, payee: someAccount, minor: minorUnits }),
  fc.record({ kind: fc.constantFrom('settle' as const, 'settle' as const, 'release' as const), which: fc.nat(50) }),
  fc.record({ kind: fc.constant('freeze' as const), payer: someAccount, frozen: fc.boolean() }),
);

function run(operations: readonly Operation[], check: (accounts: ReadonlyMap<number, Account>, legs: readonly Leg[]) => void): void {
  const accounts = new Map([{ ...alice, posted: 0n }, bob, clearing, equity].map((each) => [each.id, each]));
  const legs: Leg[] = [];
  const keep = ({ debited, credited }: Pair) => void accounts.set(debited.id, debited).set(credited.id, credited);
  for (const step of operations) {
    if ('frozen' in step) {
      const frozen = accounts.get(step.payer)!;
      if (frozen.kind === 'customer') accounts.set(step.payer, { ...frozen, frozen: step.frozen });
    } else if ('which' in step) {
      const [leg] = legs.splice(step.which % Math.max(legs.length, 1), 1);
      if (leg === undefined) continue;
      const [from, to] = [accounts.get(leg.from)!, accounts.get(leg.to)!];
      if (step.kind === 'release') keep(release(from, to, leg.amount));
      else keep((from.kind === 'customer' ? settleDebit : settleCredit)(from, to, leg.amount));
    } else {
      const [from, to] = [accounts.get(step.kind === 'deposit' ? equity.id : step.payer)!, accounts.get(step.payee)!];
      const kinds = `${from.kind} ${to.kind}`;
      const amount = eur(step.minor);
      if (from.id === to.id || (mayDebit(from, amount) ?? mayCredit(to, amount)) !== undefined) continue;
      if (step.kind === 'inside' && kinds === 'customer customer') keep(applyInside(from, to, amount));
      if (step.kind === 'deposit' && kinds === 'equity customer') keep(deposit(from, to, amount));
      if (step.kind === 'prepare' && (kinds === 'customer clearing' || kinds === 'clearing customer')) {
        keep(hold(from, to, amount));
        legs.push({ from: from.id, to: to.id, amount });
      }
    }
    check(accounts, legs);
  }
}

describe('whatever happens in whatever order', () => {
  it('all accounts together are zero, available never falls below the floor, balances stay in range, and holds are the open legs', () => {
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 60 }), (operations) => {
        run(operations, (accounts, legs) => {
          const all = [...accounts.values()];
          expect(all.reduce((sum, { posted }) => sum + posted, 0n)).toBe(0n);
          for (const each of all) {
            const sumOf = (end: 'from' | 'to') => legs.filter((leg) => leg[end] === each.id).reduce((sum, { amount }) => sum + amount.minorUnits, 0n);
            expect(each.held).toBe(sumOf('from'));
            expect(each.incoming).toBe(sumOf('to'));
            expect(available(each)).toBeGreaterThanOrEqual(each.floor ?? -BALANCE_MINOR_MAX);
            expect(each.posted + each.incoming).toBeLessThanOrEqual(BALANCE_MINOR_MAX);
          }
        });
      }),
      { numRuns: 500 },
    );
  });

  it('every open leg can still be settled', () => {
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 60 }), fc.array(fc.nat(50), { maxLength: 60 }), (operations, order) => {
        let open = 0;
        run([...operations, ...order.map((which): Operation => ({ kind: 'settle', which }))], (_, legs) => (open = legs.length));
        run([...operations, ...Array.from({ length: open }, (): Operation => ({ kind: 'settle', which: 0 }))], () => undefined);
      }),
      { numRuns: 300 },
    );
  });
});
