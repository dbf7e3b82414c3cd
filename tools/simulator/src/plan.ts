// What a world consists of and what will befall it: all of it drawn from the seed before anything runs.

import { fingerprintOf } from '@strife/two-phase-commit';
import type { Fingerprint, TransferBody, TransferId } from '@strife/two-phase-commit';
import type { NetworkPlan } from './network.ts';
import { createRandom } from './random.ts';
import type { Random } from './random.ts';

export type WorldSize = 'small' | 'large';

export interface GatewayPlan {
  readonly name: string;
  readonly log: string;
}

export interface AccountPlan {
  readonly bank: string;
  readonly name: string;
  readonly openingMinor: bigint;
}

/** One payment as one client wants it. */
export interface PaymentPlan {
  readonly id: TransferId;
  readonly body: TransferBody;
  readonly fingerprint: Fingerprint;
  readonly startsAtMs: number;
  /** How often the client asks while faults go on; after that it asks until it knows. */
  readonly triesMax: number;
  readonly waitFor: 'decided' | 'settled';
  /** Asks at once again, at another gateway, without waiting for the first answer. */
  readonly impatient: boolean;
  readonly grant: string;
  /** After the beginning of the world, by the clock of the payer's bank. */
  readonly expiresAfterMs: number | undefined;
}

export type FaultPlan =
  /** Killed before its n-th event from `atMs` on. */
  | { readonly kind: 'crash'; readonly process: string; readonly atMs: number; readonly events: number; readonly downMs: number }
  /** The n-th sync from `atMs` on fails. */
  | { readonly kind: 'disk'; readonly process: string; readonly atMs: number; readonly syncs: number; readonly kept: boolean; readonly downMs: number }
  | { readonly kind: 'cut'; readonly one: string; readonly other: string; readonly atMs: number; readonly forMs: number }
  | { readonly kind: 'jump'; readonly process: string; readonly atMs: number; readonly byMs: number }
  | { readonly kind: 'freeze'; readonly bank: string; readonly account: string; readonly atMs: number; readonly forMs: number };

export interface WorldPlan {
  readonly seed: number;
  readonly size: WorldSize;
  readonly gateways: readonly GatewayPlan[];
  readonly banks: readonly string[];
  readonly accounts: readonly AccountPlan[];
  readonly payments: readonly PaymentPlan[];
  readonly faults: readonly FaultPlan[];
  readonly network: NetworkPlan;
  /** How long a read or a write of a disk takes at most; 0: it is done at once, as SQLite does it. */
  readonly diskMs: number;
  /** When the faults end. */
  readonly safetyMs: number;
  /** Everything is started anew when the faults end; otherwise only what is down. */
  readonly restartsAll: boolean;
  readonly prepareTimeoutMs: number;
  readonly settleWaitMs: number;
  /** The most recovered decisions that wait for one bank. */
  readonly recoveredPerBankMax: number;
  /** The share of calls that a bank refuses because its queue is full. */
  readonly overloaded: number;
  /** The share of calls whose last item is lost on the way: it is neither carried out nor answered. */
  readonly garbled: number;
  /** Banks that never ask, so that deliveries and fences stand alone. */
  readonly silentBanks: readonly string[];
}

const BANKS = ['alpha', 'beta', 'gamma'];
const NAMES = ['ann', 'ben', 'cat'];
const CURRENCY = 'EUR';
const HOUR_MS = 3_600_000;

export function planWorld(seed: number, size: WorldSize): WorldPlan {
  const random = createRandom(seed, 1);
  const large = size === 'large';
  const banks = BANKS.slice(0, large && random.chance(0.5) ? 3 : 2);
  const gateways = planGateways(random, large);
  const safetyMs = large ? random.between(500, 6000) : random.between(50, 800);
  const accounts = planAccounts(random, banks, large);
  const payments = planPayments(random, banks, accounts, safetyMs, large ? 4 + random.below(16) : 1 + random.below(3));
  const troubled = random.chance(0.7);
  return {
    seed, size, gateways, banks, accounts, payments, safetyMs,
    faults: [...planFaults(random, { gateways, banks, accounts, safetyMs }, large ? random.below(8) : random.below(3)), ...planSkew(createRandom(seed, 3), gateways)],
    network: {
      latencyMs: random.pick([1, 1, 5, 20]),
      lost: troubled && random.chance(0.5) ? random.between(0, 0.2) : 0,
      repeated: troubled && random.chance(0.5) ? random.between(0, 0.3) : 0,
      slow: troubled && random.chance(0.5) ? random.between(0, 0.3) : 0,
      slowMs: random.pick([20, 100, 500, 3000]),
    },
    diskMs: random.pick([0, 0, 0.2, 2, 10, 30]),
    restartsAll: random.chance(0.5),
    prepareTimeoutMs: random.pick([300, 500, 2000]),
    settleWaitMs: random.pick([0, 50, 1000]),
    recoveredPerBankMax: createRandom(seed, 4).pick([1, 2, 1000]),
    overloaded: random.chance(0.1) ? 0.1 : 0,
    garbled: random.chance(0.2) ? 0.1 : 0,
    silentBanks: planSilence(random, gateways, banks, payments),
  };
}

function planGateways(random: Random, large: boolean): readonly GatewayPlan[] {
  const count = random.chance(0.35) ? 1 : large && random.chance(0.5) ? 3 : 2;
  const shared = random.chance(0.5);
  return Array.from({ length: count }, (_, index) => {
    const name = `g${index + 1}`;
    // Of three, the third has a log of its own.
    return { name, log: shared && index < 2 && count > 1 ? 'shared.log' : `${name}.log` };
  });
}

/** Only where no leg waits for ever then: with one log, and one body under each id, the client's next try takes over what was left. */
function planSilence(random: Random, gateways: readonly GatewayPlan[], banks: readonly string[], payments: readonly PaymentPlan[]): readonly string[] {
  const bodies = new Map(payments.map(({ id, fingerprint }) => [id, fingerprint]));
  const logs = new Set(gateways.map(({ log }) => log));
  if (logs.size > 1 || payments.some(({ id, fingerprint }) => bodies.get(id) !== fingerprint) || random.chance(0.6)) return [];
  return banks.filter(() => random.chance(0.7));
}

function planAccounts(random: Random, banks: readonly string[], large: boolean): readonly AccountPlan[] {
  const perBank = large ? 3 : 2;
  return banks.flatMap((bank) =>
    NAMES.slice(0, perBank).map((name) => ({ bank, name, openingMinor: random.chance(0.2) ? 0n : BigInt(50 + random.below(150)) })),
  );
}

function planPayments(random: Random, banks: readonly string[], accounts: readonly AccountPlan[], safetyMs: number, count: number): readonly PaymentPlan[] {
  const payments: PaymentPlan[] = [];
  for (let index = 0; index < count; index += 1) {
    const earlier = payments.length > 0 && random.chance(0.25) ? random.pick(payments) : undefined;
    const body = earlier !== undefined && random.chance(0.4) ? earlier.body : planBody(random, banks, accounts, earlier?.body);
    payments.push({
      id: earlier?.id ?? idOf(index + 1),
      body,
      fingerprint: earlier?.body === body ? earlier.fingerprint : fingerprintOf(body),
      startsAtMs: random.chance(0.5) ? 0 : random.between(0, safetyMs * 0.8),
      triesMax: 1 + random.below(4),
      waitFor: random.chance(0.5) ? 'decided' : 'settled',
      impatient: random.chance(0.2),
      grant: random.chance(0.05) ? 'expired' : 'good',
      expiresAfterMs: random.chance(0.2) ? random.between(0, safetyMs) : undefined,
    });
  }
  return payments;
}

function planBody(random: Random, banks: readonly string[], accounts: readonly AccountPlan[], like: TransferBody | undefined): TransferBody {
  const from = random.pick(accounts);
  const inside = random.chance(0.15);
  const toBank = inside ? from.bank : random.pick(banks.filter((bank) => bank !== from.bank));
  const others = accounts.filter(({ bank, name }) => bank === toBank && (bank !== from.bank || name !== from.name));
  const to = random.pick(others);
  const body = {
    from: like?.from ?? { bank: from.bank, account: from.name },
    to: { bank: to.bank, account: random.chance(0.04) ? 'nobody' : to.name },
    currency: CURRENCY, amountMinor: BigInt(1 + random.below(120)), memo: '',
  };
  const self = body.from.bank === body.to.bank && body.from.account === body.to.account;
  return self ? { ...body, from: { bank: from.bank, account: from.name } } : body;
}

/** Gateways that share a log may disagree about the time from the beginning. */
function planSkew(random: Random, gateways: readonly GatewayPlan[]): readonly FaultPlan[] {
  const [one, other] = gateways;
  if (one === undefined || one.log !== other?.log || random.chance(0.6)) return [];
  return [{ kind: 'jump', process: random.pick([one, other]).name, atMs: 0, byMs: random.between(-3, 3) * HOUR_MS }];
}

interface Stage {
  readonly gateways: readonly GatewayPlan[];
  readonly banks: readonly string[];
  readonly accounts: readonly AccountPlan[];
  readonly safetyMs: number;
}

function planFaults(random: Random, { gateways, banks, accounts, safetyMs }: Stage, count: number): readonly FaultPlan[] {
  const processes = [...gateways.map(({ name }) => name), ...banks];
  return Array.from({ length: count }, (): FaultPlan => {
    const process = random.pick(processes);
    const atMs = random.chance(0.6) ? 0 : random.between(0, safetyMs);
    const downMs = random.between(0, safetyMs / 2);
    const kind = random.below(10);
    if (kind < 4) return { kind: 'crash', process, atMs, events: 1 + random.below(40), downMs };
    if (kind < 5) return { kind: 'disk', process, atMs, syncs: 1 + random.below(4), kept: random.chance(0.5), downMs };
    if (kind < 6) return { kind: 'cut', one: random.pick(gateways).name, other: random.pick(banks), atMs, forMs: random.between(0, safetyMs) };
    if (kind < 8) return { kind: 'jump', process, atMs, byMs: random.between(-3, 3) * (random.chance(0.5) ? HOUR_MS : 300) };
    const { bank, name } = random.pick(accounts);
    return { kind: 'freeze', bank, account: name, atMs, forMs: random.between(0, safetyMs) };
  });
}

function idOf(number: number): TransferId {
  return `00000000-0000-7000-8000-${number.toString(16).padStart(12, '0')}`;
}
