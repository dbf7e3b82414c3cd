// A process of its own that writes to a store until it is killed. Prints a line after each thing that is durable.
// Arguments: hold <file> | books <file> | doubt <file> | log <file> | rows <file>

import { setImmediate } from 'node:timers/promises';
import { mayReplace } from '@strife/two-phase-commit';
import { openDecisionLog } from '../decision-log.ts';
import { advance, idOf, openBank, payment } from './bank-kit.ts';
import { openRows } from './checkpointed-rows.ts';

const BATCH = 50;
const [, , command, file = ''] = process.argv;

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function fatal(error: Error): void {
  say(`fatal: ${error.name}: ${error.message}`);
}

/** Prepares and settles batches for ever; says `prepared n` and `settled n`. */
function writeBooks(): void {
  const store = openBank(file, 'alpha', fatal);
  store.createUsers([{ username: 'alice', passwordHash: 'x', currency: 'EUR', openingMinor: 10n ** 12n }]);
  for (let batch = 0; ; batch++) {
    const payments = Array.from({ length: BATCH }, (_, n) => payment(batch * BATCH + n, 'alpha/alice', 'beta/bob', 1n));
    advance(store, 'prepare', payments);
    say(`prepared ${batch}`);
    advance(store, 'settle', payments);
    say(`settled ${batch}`);
  }
}

/** Prepares three legs, one of a large amount and a strange memo, says `prepared`, and waits for ever. */
function leaveInDoubt(): void {
  const store = openBank(file, 'alpha', fatal);
  store.createUsers([{ username: 'alice', passwordHash: 'x', currency: 'EUR', openingMinor: 10n ** 16n }]);
  const payments = [1, 2, 3].map((number) => payment(number, 'alpha/alice', 'beta/zoe', 1n));
  const strange = { amountMinor: 9_007_199_254_740_993n, memo: 'a "quote", a \\, a \u0000, a \n and 😀' };
  advance(store, 'prepare', payments.map((each) => (each.number === 2 ? { ...each, body: { ...each.body, ...strange } } : each)));
  say('prepared');
  // Names the store: one that nothing refers to is collected, and its lock with it.
  setInterval(() => void store.bank, 60_000);
}

/** Decides batches for ever; says `decided n`. */
async function writeLog(): Promise<void> {
  const log = openDecisionLog({ file, nowMs: () => 0, mayReplace, onFatal: fatal });
  for (let batch = 0; ; batch++) {
    const payments = Array.from({ length: BATCH }, (_, n) => payment(batch * BATCH + n, 'alpha/alice', 'beta/bob', 1n));
    const proposals = payments.map(({ number, body }) => ({
      id: idOf(number), attempt: 1, fingerprint: '00112233445566778899aabbccddeeff', body, createdAtMs: 0, verdict: { outcome: 'committed' as const },
    }));
    await log.decide(proposals, []);
    say(`decided ${batch}`);
  }
}

/** Adds rows for ever, in a store whose log is copied all the time; says `added n`, in all. */
async function writeRows(): Promise<void> {
  const rows = openRows(file, fatal);
  for (;;) {
    say(`added ${rows.add()}`);
    await setImmediate();
  }
}

switch (command) {
  case 'hold': {
    const store = openBank(file, 'alpha', fatal);
    say('open');
    // Names the store: one that nothing refers to is collected, and its lock with it.
    setInterval(() => void store.bank, 60_000);
    break;
  }
  case 'books':
    try {
      writeBooks();
    } catch (error) {
      say(`stopped: ${(error as Error).name}: ${(error as Error).message}`);
    }
    break;
  case 'doubt':
    leaveInDoubt();
    break;
  case 'log':
    await writeLog();
    break;
  case 'rows':
    await writeRows();
    break;
  default:
    throw new Error(`unknown command ${command}`);
}
