// What one client did and heard, a line an event, written before it acts on it: its memory after a kill, and the history that is checked.

import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import type { SeenStore } from './auditor.ts';

export interface ReadEntry {
  /** Null for a deposit. */
  readonly id: string | null;
  readonly amount: string;
  readonly posted: string;
}

export type JournalEvent =
  /** Before the first send of the id. */
  | { readonly op: 'send'; readonly id: string; readonly from: string; readonly to: string; readonly minor: string }
  /** The payment has succeeded. */
  | { readonly op: 'ok'; readonly id: string }
  /** A bank said no, for ever. */
  | { readonly op: 'declined'; readonly id: string; readonly reason: string }
  /** Refused for another reason, for ever: nothing was applied. */
  | { readonly op: 'failed'; readonly id: string; readonly code: string }
  /** No certain answer; the id is asked for again. */
  | { readonly op: 'unknown'; readonly id: string; readonly code: string }
  /** What the account showed: its balance, or its newest entries, newest first. */
  | { readonly op: 'balance'; readonly account: string; readonly posted: string }
  | { readonly op: 'entries'; readonly account: string; readonly entries: readonly ReadEntry[] }
  | { readonly op: 'started' | 'finished' }
  /** Not of a client: what all accounts of a bank had at one moment, and the number of its last entry then. */
  | { readonly op: 'balances'; readonly bank: string; readonly at: string; readonly entries: string; readonly balances: Readonly<Record<string, string>> }
  /** Not of a client: which stores were audited, one after the other, and how many payments each knew. */
  | { readonly op: 'audit'; readonly stores: readonly SeenStore[]; readonly problems: number };

export interface Journal {
  /** In the page cache on return: it survives the process, as the faults here need. */
  add(...events: readonly JournalEvent[]): void;
}

export function openJournal(file: string): Journal {
  return {
    add: (...events) => {
      if (events.length > 0) appendFileSync(file, events.map((event) => `${JSON.stringify(event)}\n`).join(''));
    },
  };
}

/** All events, oldest first. A last line that a kill cut off is no event. */
export function readJournal(file: string): JournalEvent[] {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8').split('\n');
  lines.pop();
  return lines.flatMap((line) => {
    try {
      return [JSON.parse(line) as JournalEvent];
    } catch {
      // The next process of the client went on behind a line that was cut off.
      return [];
    }
  });
}
