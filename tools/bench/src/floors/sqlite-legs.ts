// The floor of a bank: legs prepared and settled by bare SQL, in batches, each batch two transactions with a sync. No protocol,
// no checks beyond the table's, no network: what is left when all of that costs nothing.

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { newTransferId } from '@strife/sdk';
import type { SqliteLegsJob } from '../load/job.ts';
import type { Measure } from '../load/load-main.ts';
import type { LoopResult } from '../load/measure-loop.ts';

const SCHEMA = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  PRAGMA wal_autocheckpoint = 16384;
  CREATE TABLE accounts (id INTEGER PRIMARY KEY, posted INTEGER NOT NULL, held INTEGER NOT NULL, CHECK (posted - held >= 0)) STRICT;
  CREATE TABLE legs (id BLOB PRIMARY KEY, state INTEGER NOT NULL, account_id INTEGER NOT NULL, amount INTEGER NOT NULL, fingerprint BLOB NOT NULL,
    payer TEXT NOT NULL, payee TEXT NOT NULL, prepared_at_ms INTEGER NOT NULL, ended_at_ms INTEGER) STRICT, WITHOUT ROWID;
  CREATE TABLE entries (seq INTEGER PRIMARY KEY, account_id INTEGER NOT NULL, transfer_id BLOB NOT NULL, amount INTEGER NOT NULL) STRICT;
`;
const OPENING_MINOR = 1_000_000_000_000;

export async function sqliteLegs({ directory, batchItems, accounts }: SqliteLegsJob, measure: Measure): Promise<LoopResult> {
  const file = join(directory, `sqlite-legs-${process.pid}.sqlite`);
  const remove = (): void => ['', '-wal', '-shm'].forEach((suffix) => rmSync(file + suffix, { force: true }));
  remove();
  const database = new DatabaseSync(file);
  try {
    database.exec(SCHEMA);
    database.exec(`WITH RECURSIVE n (i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i < ${accounts})
      INSERT INTO accounts SELECT i, ${OPENING_MINOR}, 0 FROM n`);
    const settleBatch = batchWriter(database, accounts);
    return await measure({
      workers: 1,
      async step() {
        settleBatch(batchItems);
        await new Promise((resolve) => setImmediate(resolve));
        return { done: batchItems };
      },
    });
  } finally {
    database.close();
    remove();
  }
}

/** Account 0 is the clearing account: it is written once a batch. */
function batchWriter(database: DatabaseSync, accounts: number): (items: number) => void {
  const prepare = database.prepare('INSERT INTO legs VALUES (?, 0, ?, ?, ?, ?, ?, ?, NULL)');
  const hold = database.prepare('UPDATE accounts SET held = held + ? WHERE id = ?');
  const settle = database.prepare('UPDATE legs SET state = 1, ended_at_ms = ? WHERE id = ?');
  const move = database.prepare('UPDATE accounts SET posted = posted + ?, held = held - ? WHERE id = ?');
  const append = database.prepare('INSERT INTO entries (account_id, transfer_id, amount) VALUES (?, ?, ?)');
  const fingerprint = Buffer.alloc(16, 7);

  return (items) => {
    const legs = Array.from({ length: items }, () => ({
      id: Buffer.from(newTransferId().replaceAll('-', ''), 'hex'), account: 1 + Math.floor(Math.random() * accounts),
    }));
    const nowMs = Date.now();
    database.exec('BEGIN IMMEDIATE');
    for (const { id, account } of legs) {
      prepare.run(id, account, 1, fingerprint, `u${account}`, 'payee', nowMs);
      hold.run(1, account);
    }
    database.exec('COMMIT');
    database.exec('BEGIN IMMEDIATE');
    for (const { id, account } of legs) {
      settle.run(nowMs, id);
      append.run(account, id, -1);
      append.run(0, id, 1);
      move.run(-1, 1, account);
    }
    move.run(items, 0, 0);
    database.exec('COMMIT');
  };
}
