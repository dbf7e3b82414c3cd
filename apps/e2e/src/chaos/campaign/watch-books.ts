// Reads that span accounts, while payments and faults go on: all balances of one bank at one moment, often; and an audit of snapshots of all
// stores, now and then and after restarts. Each is written to the history.

import { once } from 'node:events';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { AuditorData, SeenStores } from './auditor.ts';
import { accountLabel } from './check-history.ts';
import type { Journal } from './journal.ts';
import type { StoreOfService } from './snapshot.ts';

export interface BooksWatch extends AsyncDisposable {
  /** Something has just changed, such as that a service came back: the next audit does not wait for its turn. */
  auditSoon(): void;
  /** Looks at everything once more, and ends. */
  end(): Promise<BooksSeen>;
}

export interface BooksSeen {
  /** Looks at all balances of a bank. */
  readonly looks: number;
  /** Audits of all stores, and how long all of them together took. */
  readonly audits: number;
  readonly auditsMs: number;
}

export interface BooksWatchOptions extends AuditorData {
  readonly journal: Journal;
  readonly onProblem: (problem: string) => void;
}

const LOOK_EVERY_MS = 400;
const AUDIT_EVERY_MS = 10_000;
/** Of the time, for audits: what they may cost the services that they share the machine with. */
const AUDIT_SHARE_MAX = 0.1;

export function watchBooks({ journal, onProblem, ...auditing }: BooksWatchOptions): BooksWatch {
  const ending = new AbortController();
  const auditor = new Worker(new URL('auditor.ts', import.meta.url), { workerData: auditing });
  const banks = auditing.stores.filter(({ role }) => role === 'bank');
  const seen = { looks: 0, audits: 0, auditsMs: 0 };
  let soon = new AbortController();
  const pause = (ms: number, ...signals: AbortSignal[]): Promise<void> =>
    delay(ms, undefined, { signal: AbortSignal.any([ending.signal, ...signals]) }).catch(() => undefined);

  function look(): void {
    for (const bank of banks) {
      const { entries, balances } = readBalances(bank);
      const total = Object.values(balances).reduce((sum, posted) => sum + BigInt(posted), 0n);
      journal.add({ op: 'balances', bank: bank.name, at: new Date().toISOString(), entries, balances });
      seen.looks += 1;
      if (total !== 0n) onProblem(`${bank.name}: all accounts together have ${total}: ${JSON.stringify(balances)}`);
    }
  }

  /** Returns how long it took. */
  async function audit(): Promise<number> {
    const startedAtMs = performance.now();
    auditor.postMessage('look', []);
    const [{ stores, problems }] = (await once(auditor, 'message')) as [SeenStores];
    journal.add({ op: 'audit', stores, problems: problems.length });
    problems.forEach((problem) => onProblem(`audit ${seen.audits + 1}: ${problem}`));
    const tookMs = performance.now() - startedAtMs;
    seen.audits += 1;
    seen.auditsMs += tookMs;
    return tookMs;
  }

  async function goOnLooking(): Promise<void> {
    for (; !ending.signal.aborted; await pause(LOOK_EVERY_MS)) look();
  }

  async function goOnAuditing(): Promise<void> {
    while (!ending.signal.aborted) {
      soon = new AbortController();
      const tookMs = await audit();
      await pause(tookMs / AUDIT_SHARE_MAX - tookMs);
      await pause(AUDIT_EVERY_MS - tookMs / AUDIT_SHARE_MAX, soon.signal);
    }
  }

  let hasFailed = false;
  const failed = (error: unknown): void => {
    hasFailed = true;
    onProblem(`the stores cannot be read: ${String(error)}`);
  };
  const working = Promise.all([goOnLooking().catch(failed), goOnAuditing().catch(failed)]);
  return {
    auditSoon: () => soon.abort(),
    async end() {
      ending.abort();
      await working;
      // A failure has ended the auditor, too.
      if (!hasFailed) await Promise.resolve().then(look).then(audit).catch(failed);
      return seen;
    },
    async [Symbol.asyncDispose]() {
      ending.abort();
      await working;
      await auditor.terminate();
    },
  };
}

/** Posted, by account, in minor units, and how many entries made it so, all at one moment. */
function readBalances({ name: bank, file }: StoreOfService): { entries: string; balances: Record<string, string> } {
  const database = new DatabaseSync(file, { readOnly: true, timeout: 5000 });
  try {
    const statement = database.prepare('SELECT kind, name, posted, (SELECT max(seq) FROM entries) AS entries FROM current_accounts');
    statement.setReadBigInts(true);
    const rows = statement.all() as { kind: bigint; name: string; posted: bigint; entries: bigint }[];
    return {
      entries: String(rows[0]?.entries ?? 0n),
      balances: Object.fromEntries(rows.map(({ kind, name, posted }) => [accountLabel(bank, kind, name), String(posted)])),
    };
  } finally {
    database.close();
  }
}
