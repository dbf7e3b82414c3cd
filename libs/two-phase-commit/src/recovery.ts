// Takes up the deliveries that an earlier life of this gateway left: oldest first, and a bounded number for each bank at a time.

import type { BankLink, Clock, DecisionLog } from './ports.ts';
import { banksOf, decisionOf } from './protocol/vocabulary.ts';
import type { BankName, DecisionRow, TransferId } from './protocol/vocabulary.ts';

export interface Recovery {
  /** As `Coordinator.recover`. */
  begin(): Promise<number>;
  /** Rows that wait in the log to be taken up: exact before and after each round through the log, and close to it during one. */
  left(): number;
  /** Takes up nothing more. */
  stop(): void;
}

export interface RecoveryOptions {
  readonly log: Pick<DecisionLog, 'unfinished' | 'countUnfinished'>;
  readonly link: Pick<BankLink, 'decide'>;
  readonly clock: Clock;
  /** The most recovered decisions that one bank may have to acknowledge. */
  readonly perBankMax: number;
  /** The row is delivered here already. */
  readonly isUnderWay: (row: DecisionRow) => boolean;
  /** Delivers the row through the link that it is given. */
  readonly takeUp: (row: DecisionRow, via: Pick<BankLink, 'decide'>) => void;
}

const PAGE_ROWS = 10_000;
/** A bank that has its fill of decisions and acknowledged none for so long is passed over. */
const STALLED_MS = 2000;

/** What one bank has been sent. */
interface Backlog {
  waiting: number;
  /** When it last acknowledged something, or first had something to acknowledge; monotonic. */
  heardMs: number;
}

/**
 * Goes through the log in rounds. A row takes a place at each of its banks until that bank acknowledges. At a bank whose places are all
 * taken the round waits, as long as the bank acknowledges anything; then half of its places must be free before it goes on. A bank that is
 * silent is passed over: its rows stay in the log, and their other banks are told without a row being finished. Once such a bank has
 * acknowledged half of what it had, a new round begins. So a bank that stays away costs its places and one reading of the log, holds up the
 * others by STALLED_MS once, and is sent all that waits for it when it returns, at whatever pace it takes it.
 */
export function createRecovery({ log, link, clock, perBankMax, isUnderWay, takeUp }: RecoveryOptions): Recovery {
  const backlogs = new Map<BankName, Backlog>();
  const halfMax = Math.floor(perBankMax / 2);
  let left = 0;
  let stopped = false;
  let onBegun = (): void => undefined;
  let wake = (): void => undefined;

  /** The link, with each decision taking a place. */
  const counted: Pick<BankLink, 'decide'> = {
    decide(bank, request, decision, haste, onAcknowledged) {
      const backlog = backlogOf(bank);
      if (backlog.waiting === 0) backlog.heardMs = clock.monotonicMs();
      backlog.waiting += 1;
      link.decide(bank, request, decision, haste, () => {
        backlog.waiting -= 1;
        backlog.heardMs = clock.monotonicMs();
        if (backlog.waiting === halfMax) wake();
        onAcknowledged(request, decision);
      });
    },
  };

  function backlogOf(bank: BankName): Backlog {
    let backlog = backlogs.get(bank);
    if (backlog === undefined) {
      backlog = { waiting: 0, heardMs: 0 };
      backlogs.set(bank, backlog);
    }
    return backlog;
  }

  async function begin(): Promise<number> {
    const count = await log.countUnfinished();
    if (count === 0) return 0;
    left = count;
    await new Promise<void>((resolve, reject) => {
      let begun = false;
      onBegun = () => {
        begun = true;
        resolve();
      };
      void rounds().then(resolve, (error: unknown) => {
        reject(error);
        // Nobody hears the rejection any more: a log that cannot be read ends the process.
        if (begun) throw error;
      });
    });
    return count;
  }

  async function rounds(): Promise<void> {
    while (!stopped) {
      const passedOver = await round();
      if (passedOver.size === 0) return;
      while (!stopped && ![...passedOver].some(hasDrained)) await pause();
    }
  }

  /** Once through the log. Resolves with the banks that were passed over. */
  async function round(): Promise<ReadonlySet<BankName>> {
    const passedOver = new Set<BankName>();
    const pageRows = Math.min(PAGE_ROWS, perBankMax);
    let rowsLeft = 0;
    let after: TransferId | undefined;
    for (;;) {
      const rows = await log.unfinished(pageRows, after);
      for (const row of rows) {
        if (isUnderWay(row)) continue;
        const banks = banksOf(row.body);
        for (const bank of banks) if (isFull(bank)) await untilDrainedOrSilent(bank);
        if (stopped) return passedOver;
        const full = banks.filter(isFull);
        if (full.length === 0) {
          left = Math.max(0, left - 1);
          takeUp(row, counted);
          continue;
        }
        rowsLeft += 1;
        for (const bank of banks) {
          if (full.includes(bank)) passedOver.add(bank);
          else counted.decide(bank, row, decisionOf(row), 'now', () => undefined);
        }
      }
      after = rows.at(-1)?.id;
      if (rows.length < pageRows) break;
      onBegun();
      await new Promise<void>((resolve) => clock.soon(resolve));
      if (stopped) return passedOver;
    }
    left = rowsLeft;
    return passedOver;
  }

  function isFull(bank: BankName): boolean {
    return backlogOf(bank).waiting >= perBankMax;
  }

  function hasDrained(bank: BankName): boolean {
    return backlogOf(bank).waiting <= halfMax;
  }

  async function untilDrainedOrSilent(bank: BankName): Promise<void> {
    const backlog = backlogOf(bank);
    while (!stopped && !hasDrained(bank) && clock.monotonicMs() - backlog.heardMs < STALLED_MS) await pause(STALLED_MS);
  }

  /** Until some bank has drained, for `maxMs` at most. */
  function pause(maxMs?: number): Promise<void> {
    onBegun();
    return new Promise((resolve) => {
      const cancel = maxMs === undefined ? undefined : clock.after(maxMs, resolve);
      wake = () => {
        cancel?.();
        resolve();
      };
    });
  }

  return {
    begin,
    left: () => left,
    stop() {
      stopped = true;
      wake();
    },
  };
}
