// Legs in doubt that have no row in the table of legs: one row for all that a write prepared, as JSON.
//
// Most legs end a moment after they were prepared, so a row of their own would be written twice. Here they are written with all others of their
// batch, in one piece that goes when the last of them has ended.

import type { TransferId } from '@strife/two-phase-commit';
import type { StoredLeg } from './ledger-store.ts';
import { SIDES, peerOf, termsOf, type LogNumbers } from './leg-rows.ts';
import type { StoreFile } from './store-file.ts';

/**
 * The most legs of rows that are kept here, those that have ended since included. One leg without a decision keeps the row of its whole batch, so
 * beyond this the oldest row is given up: what is left of it gets rows in the table of legs.
 */
const LEGS_KEPT_MAX = 100_000;

/** A leg with its place here. */
export interface PreparedEntry {
  readonly id: TransferId;
  leg: StoredLeg | undefined;
  /** The payer's transfer before this one; known only of a leg that stands here. */
  previous: TransferId | null;
  /** Undefined for a leg that has a row in the table of legs, or does not exist. */
  row: PreparedRow | undefined;
  /** Its index in the row. */
  at: number;
}

/** All legs that one write prepared; undefined for those that stand here no longer. */
export interface PreparedRow {
  readonly seq: number;
  readonly entries: (PreparedEntry | undefined)[];
  left: number;
}

export interface PreparedLegs {
  /** Inside a write. The leg must be prepared and have its terms; nothing may have been stored under its id. */
  add(entry: PreparedEntry): void;
  /** Inside a write: the leg has a row in the table of legs from now on. */
  remove(entry: PreparedEntry): void;
  /** Inside a write, after all legs: makes durable what was added and removed. Returns the legs that were moved out. */
  flush(nowMs: number): readonly StoredLeg[];
}

export interface PreparedLegsOptions {
  readonly store: StoreFile;
  readonly logs: LogNumbers;
  /** Told of each leg that is found at start. */
  readonly onFound: (entry: PreparedEntry) => void;
  /** Inside a write: gives the leg a row in the table of legs. */
  readonly moveOut: (entry: PreparedEntry) => void;
  readonly legsKeptMax?: number | undefined;
}

export function openPreparedLegs({ store, logs, onFound, moveOut, legsKeptMax = LEGS_KEPT_MAX }: PreparedLegsOptions): PreparedLegs {
  const insert = store.prepare('INSERT INTO prepared (seq, at_ms, legs) VALUES (?, ?, CAST(? AS TEXT))');
  const remove = store.prepare('DELETE FROM prepared WHERE seq = ?');
  /** Those that are stored, oldest first. */
  const rows = new Map<number, PreparedRow>();
  /** Of all rows. */
  let legsKept = 0;
  let [lastSeq] = store.prepare('SELECT coalesce(max(seq), 0) FROM prepared').get() as unknown as [number];
  /** What the write that is under way has prepared. */
  let draft: PreparedRow | undefined;
  /** Stored rows of which that write left nothing. */
  let finished: PreparedRow[] = [];
  const text = openListText();

  // Which of them are left is told by the rule of the view prepared_legs, which takes them apart, too, but needs several times as long for it.
  const left = store.prepare(`
    SELECT seq, key FROM prepared, json_each(prepared.legs)
    WHERE NOT EXISTS (SELECT 1 FROM legs WHERE legs.id = unhex(value ->> 0, '-')) ORDER BY seq`).iterate() as unknown as Iterable<[number, number]>;
  const select = store.prepare('SELECT at_ms, legs FROM prepared WHERE seq = ?');
  let atMs = 0;
  let encoded: EncodedLeg[] = [];
  for (const [seq, index] of left) {
    let row = rows.get(seq);
    if (row === undefined) {
      const [preparedAtMs, json] = select.get(seq) as unknown as [number, string];
      atMs = preparedAtMs;
      encoded = JSON.parse(json) as EncodedLeg[];
      row = { seq, entries: [], left: 0 };
      rows.set(seq, row);
    }
    const entry = decode(encoded[index]!, atMs, store.name, logs);
    put(row, entry);
    legsKept += 1;
    onFound(entry);
  }

  function put(row: PreparedRow, entry: PreparedEntry): void {
    entry.row = row;
    entry.at = row.entries.push(entry) - 1;
    row.left += 1;
  }

  function take(entry: PreparedEntry): void {
    const { row } = entry;
    if (row === undefined) throw new Error(`leg ${entry.id} is not among the prepared ones`);
    row.entries[entry.at] = undefined;
    entry.row = undefined;
    row.left -= 1;
    if (row.left === 0 && row !== draft) finished.push(row);
  }

  function forget(row: PreparedRow): void {
    remove.get(row.seq);
    rows.delete(row.seq);
    legsKept -= row.entries.length;
  }

  function giveUpOldest(): StoredLeg[] {
    const moved: StoredLeg[] = [];
    for (const row of rows.values()) {
      if (legsKept <= legsKeptMax) break;
      for (const entry of row.entries) {
        if (entry?.leg === undefined) continue;
        moveOut(entry);
        entry.row = undefined;
        moved.push(entry.leg);
      }
      forget(row);
    }
    return moved;
  }

  return {
    add(entry) {
      draft ??= { seq: lastSeq + 1, entries: [], left: 0 };
      put(draft, entry);
    },
    remove: take,
    flush(nowMs) {
      for (const row of finished) forget(row);
      finished = [];
      if (draft === undefined) return NONE;
      const row = draft;
      draft = undefined;
      if (row.left === 0) return NONE;
      insert.get(row.seq, nowMs, encode(row, logs, text));
      rows.set(row.seq, row);
      lastSeq = row.seq;
      legsKept += row.entries.length;
      return legsKept > legsKeptMax ? giveUpOldest() : NONE;
    },
  };
}

const NONE: readonly StoredLeg[] = [];

/** A leg as the view prepared_legs takes it apart. The amount is a text: not every program reads 64 bits out of a JSON number. */
type EncodedLeg = [
  id: TransferId, attempt: number, log: number, fingerprint: string, side: number, accountId: number | null, payer: string, payee: string, peer: string,
  currency: string, amount: string, memo: string, deadlineMs: number, previous: TransferId | null,
];

/** In UTF-8; good until the next call. */
function encode({ entries }: PreparedRow, logs: LogNumbers, text: ListText): Uint8Array {
  text.begin();
  for (const entry of entries) {
    if (entry === undefined) continue;
    const { id, leg, previous } = entry;
    if (leg?.state.kind !== 'prepared' || leg.terms === undefined) throw new Error(`leg ${id} is not prepared`);
    const { state, accountId, terms } = leg;
    const { body, side, deadlineMs } = terms;
    const values: EncodedLeg = [
      id, state.attempt, logs.number(state.log), state.fingerprint, SIDES[side], accountId, body.from.account, body.to.account,
      peerOf(terms), body.currency, String(body.amountMinor), body.memo, deadlineMs, previous,
    ];
    text.add(JSON.stringify(values));
  }
  return text.end();
}

function decode(values: EncodedLeg, preparedAtMs: number, bank: string, logs: LogNumbers): PreparedEntry {
  const [id, attempt, log, fingerprint, side, accountId, payer, payee, peer, currency, amount, memo, deadlineMs, previous] = values;
  const terms = termsOf({ side, payer, payee, peer, currency, amountMinor: BigInt(amount), memo, deadlineMs }, bank);
  const leg: StoredLeg = { id, state: { kind: 'prepared', fingerprint, attempt, log: logs.name(log) }, terms, accountId, preparedAtMs, endedAtMs: null };
  return { id, leg, previous, row: undefined, at: 0 };
}

/** Writes a JSON list piece by piece. As a string, a list of a thousand legs would be put together, encoded and copied in new memory each time. */
interface ListText {
  begin(): void;
  add(json: string): void;
  /** The whole list, in memory that the next one takes. */
  end(): Uint8Array;
}

const LIST_BYTES = 64 * 1024;
/** Of a UTF-16 unit in UTF-8. */
const UNIT_BYTES_MAX = 3;
const [OPENING, COMMA, CLOSING] = Buffer.from('[,]') as unknown as [number, number, number];

function openListText(): ListText {
  let buffer = Buffer.allocUnsafeSlow(LIST_BYTES);
  let length = 0;
  return {
    begin() {
      buffer[0] = OPENING;
      length = 1;
    },
    add(json) {
      // With a comma before it, and room for the end after it.
      const lengthMax = length + json.length * UNIT_BYTES_MAX + 2;
      if (lengthMax > buffer.length) buffer = Buffer.concat([buffer.subarray(0, length)], Math.max(lengthMax, 2 * buffer.length));
      if (length > 1) buffer[length++] = COMMA;
      length += buffer.write(json, length);
    },
    end() {
      buffer[length++] = CLOSING;
      return buffer.subarray(0, length);
    },
  };
}
