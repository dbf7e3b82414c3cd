// One round: load and faults for a while, then none, and everything that must hold is checked.

import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import { auditStores } from '@strife/storage';
import { onThisMachine } from '../../support/patience.ts';
import { seededRandom } from '../seeded-random.ts';
import { checkHistory } from './check-history.ts';
import type { HistoryCounts } from './check-history.ts';
import { startFaults } from './faults.ts';
import type { FaultCounts } from './faults.ts';
import { openJournal, readJournal } from './journal.ts';
import type { StoreOfService } from './snapshot.ts';
import { BANKS, buildStage } from './stage.ts';
import type { Stage } from './stage.ts';
import { watchBooks } from './watch-books.ts';
import type { BooksSeen } from './watch-books.ts';

export interface RoundOptions {
  /** Everything is written under it. */
  readonly root: string;
  readonly seed: number;
  readonly faultsMs: number;
  readonly strace: string | undefined;
  readonly faketime: string | undefined;
}

export interface RoundReport {
  readonly kills: number;
  readonly faults: FaultCounts;
  readonly history: HistoryCounts;
  /** Reads that span accounts. */
  readonly books: BooksSeen;
  /** How long the last leg was in doubt after all services were ready. */
  readonly inDoubtMs: number;
  readonly problems: readonly string[];
}

/** What PROTOCOL.md allows a leg to stay in doubt once all are up. */
const IN_DOUBT_MAX_MS = 1000;
/** After this it is not looked at any more. */
const IN_DOUBT_LOOK_MS = 20_000;
/** Until every client has a certain answer to everything; it has faults behind it that take a while to be noticed. */
const FINISH_MAX_MS = 60_000;

export async function runRound({ root, seed, faultsMs, strace, faketime }: RoundOptions): Promise<RoundReport> {
  const problems: string[] = [];
  const startedAtMs = performance.now();
  const note = (text: string): void => appendFileSync(join(root, 'faults.log'), `${Math.round(performance.now() - startedAtMs)} ${text}\n`);
  const report = (problem: string): void => {
    note(`PROBLEM ${problem}`);
    problems.push(problem);
  };
  const stage = await buildStage({ root, seed, faketime });
  try {
    const { stores, seededMinor } = stage;
    const ownJournal = join(root, 'journal-books.jsonl');
    await using books = watchBooks({ stores, seededMinor, folder: join(root, 'snapshots'), journal: openJournal(ownJournal), onProblem: report });
    const faults = startFaults({ stage, random: seededRandom(seed), strace, onFault: note, onRestart: books.auditSoon, onProblem: report });
    await delay(faultsMs);
    await faults.end();
    for (const proxy of Object.values(stage.proxies)) proxy.heal();
    note('all faults are over');
    const inDoubtMs = await untilDecided(stage);
    note(`nothing of before is in doubt after ${inDoubtMs} ms`);
    if (inDoubtMs > onThisMachine(IN_DOUBT_MAX_MS)) report(`legs were in doubt for ${inDoubtMs} ms after all services were ready`);
    await Promise.all(stage.payers.map((payer) => payer.finish(FINISH_MAX_MS).catch((error: Error) => report(error.message))));
    note('all clients have finished');
    await untilDecided(stage);
    const booksSeen = await books.end();
    const { violations, inDoubt } = auditStores({ banks: filesOf(stage, 'bank'), gateways: filesOf(stage, 'gateway') });
    for (const { invariant, message } of violations) report(`audit: invariant ${invariant}: ${message}`);
    if (inDoubt > 0) report(`audit: ${inDoubt} in doubt at the end`);
    const history = checkHistory([...stage.journals, ownJournal].map(readJournal), BANKS, stage.cluster.directories.data);
    history.problems.forEach(report);
    const { counts } = faults;
    return { kills: counts['kill service'] + counts['kill client'], faults: counts, history: history.counts, books: booksSeen, inDoubtMs, problems };
  } finally {
    await stage.strike();
  }
}

function filesOf({ stores }: Stage, wanted: StoreOfService['role']): string[] {
  return stores.filter(({ role }) => role === wanted).map(({ file }) => file);
}

/** How long the legs that are prepared now stay so, in the same attempt: what clients start meanwhile does not count. */
async function untilDecided(stage: Stage): Promise<number> {
  const startedAtMs = performance.now();
  let doubtful = prepared(stage);
  while (doubtful.size > 0 && performance.now() - startedAtMs < IN_DOUBT_LOOK_MS) {
    await delay(20);
    const now = prepared(stage);
    doubtful = new Set([...doubtful].filter((leg) => now.has(leg)));
  }
  return Math.round(performance.now() - startedAtMs);
}

function prepared(stage: Stage): Set<string> {
  return new Set(filesOf(stage, 'bank').flatMap((file) => rowsOf(file, 'SELECT hex(id), attempt, log, prepared_at_ms FROM all_legs WHERE state = 0').map((row) => `${file} ${row.join()}`)));
}

function rowsOf(file: string, sql: string): unknown[][] {
  const database = new DatabaseSync(file, { readOnly: true, timeout: 5000 });
  try {
    const statement = database.prepare(sql);
    statement.setReadBigInts(true);
    statement.setReturnArrays(true);
    return statement.all() as unknown as unknown[][];
  } finally {
    database.close();
  }
}
