// Stores of any size, made in seconds: the files by libs/storage, which owns their schema, and their rows by set-based SQL. What is
// made is what banks and gateway would have written: the audit finds nothing wrong with it.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { openDecisionLog, openLedgerStore } from '@strife/storage';
import { fingerprintOf, mayReplace } from '@strife/two-phase-commit';

export interface BooksPlan {
  /** Customers of each bank, `u1` to `u<accounts>`, each with an opening deposit. */
  readonly accounts: number;
  /** Payments of 0.01 from alpha to beta that were made before, each customer in turn. */
  readonly pastPayments: number;
}

export interface BookFiles {
  /** By bank. */
  readonly banks: Readonly<Record<string, string>>;
  readonly gateway: string;
}

export const PAYER_BANK = 'alpha';
export const PAYEE_BANK = 'beta';
export const GATEWAY = 'g1';
/** Enough for a thousand million payments of 0.01. */
export const OPENING_MINOR = 1_000_000_000;
const CURRENCY = 'EUR';
const FIRST_PAYMENT_AT_MS = Date.UTC(2026, 0, 1);
const OPENED_AT_MS = FIRST_PAYMENT_AT_MS - 86_400_000;

export function bookFiles(directory: string): BookFiles {
  return {
    banks: { [PAYER_BANK]: join(directory, `bank-${PAYER_BANK}.sqlite`), [PAYEE_BANK]: join(directory, `bank-${PAYEE_BANK}.sqlite`) },
    gateway: join(directory, `gateway-${GATEWAY}.sqlite`),
  };
}

/**
 * Makes the stores of two banks and a gateway in `directory`, which must hold none. Every customer has the password of `passwordHash`.
 *
 * @throws Error when the disk is full or a store is there already
 */
export function makeBooks(directory: string, plan: BooksPlan, passwordHash: string): void {
  mkdirSync(directory, { recursive: true });
  const files = bookFiles(directory);
  const nowMs = (): number => OPENED_AT_MS;
  const onFatal = (error: Error): never => {
    throw error;
  };
  const log = openDecisionLog({ file: files.gateway, gateway: GATEWAY, nowMs, mayReplace, onFatal });
  const { logId } = log;
  log.knownBanks.add(PAYER_BANK);
  log.knownBanks.add(PAYEE_BANK);
  log.close();
  for (const [bank, file] of Object.entries(files.banks)) {
    // No deposit is made through the store, so its accounting rules are never asked.
    const unused = onFatal as never;
    openLedgerStore({ file, bank, nowMs, ledger: { mayDebit: unused, mayCredit: unused, deposit: unused }, onFatal }).close();
    inBulk(file, (database) => {
      openAccounts(database, plan, passwordHash);
      if (plan.pastPayments > 0) settlePayments(database, bank === PAYER_BANK ? 'debit' : 'credit', plan, logId);
      database.exec('UPDATE accounts_shown SET up_to = (SELECT coalesce(max(seq), 0) FROM entries)');
    });
  }
  if (plan.pastPayments > 0) inBulk(files.gateway, (database) => decidePayments(database, plan));
}

/** One transaction without a sync: a crash leaves a file that nobody has used yet. The last step makes it durable. */
function inBulk(file: string, fill: (database: DatabaseSync) => void): void {
  const database = new DatabaseSync(file);
  try {
    database.exec('PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -524288; PRAGMA temp_store = MEMORY; BEGIN');
    fill(database);
    database.exec('COMMIT; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; BEGIN IMMEDIATE; UPDATE identity SET name = name; COMMIT');
  } finally {
    database.close();
  }
}

/** Numbers 1 to n, as a table of the name n with the column i. */
const numbers = (last: number): string => `WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < ${last})`;

/** Equity is account 1, customer i is account i + 1; the deposit of customer i is entries 2i - 1 and 2i. */
function openAccounts(database: DatabaseSync, { accounts }: BooksPlan, passwordHash: string): void {
  database.exec(`
    INSERT INTO accounts (id, kind, name, currency, posted, floor, frozen, last_entry)
      VALUES (1, 2, '${CURRENCY}', '${CURRENCY}', ${-accounts * OPENING_MINOR}, NULL, 0, ${2 * accounts - 1});
    ${numbers(accounts)} INSERT INTO accounts (id, kind, name, currency, posted, floor, frozen, last_entry)
      SELECT i + 1, 0, 'u' || i, '${CURRENCY}', ${OPENING_MINOR}, 0, 0, 2 * i FROM n;
    ${numbers(2 * accounts)} INSERT INTO entries (seq, account_id, transfer_id, amount, posted, at_ms, previous)
      SELECT i, iif(i % 2 = 1, 1, i / 2 + 1), NULL, iif(i % 2 = 1, -${OPENING_MINOR}, ${OPENING_MINOR}),
        iif(i % 2 = 1, -(i + 1) / 2 * ${OPENING_MINOR}, ${OPENING_MINOR}), ${OPENED_AT_MS}, iif(i % 2 = 1 AND i > 1, i - 2, NULL) FROM n;
    ${numbers(accounts)} INSERT INTO deposits (entry, id, account_id, amount, at_ms)
      SELECT 2 * i - 1, NULL, i + 1, ${OPENING_MINOR}, ${OPENED_AT_MS} FROM n;
  `);
  database.prepare(`${numbers(accounts)} INSERT INTO users (account_id, username, password_hash) SELECT i + 1, 'u' || i, ? FROM n`).run(passwordHash);
}

/** The id of payment i as a UUIDv7: ids of later payments are greater. */
const PAYMENT_ID = `unhex(printf('%012x7%03x8%015x', ${FIRST_PAYMENT_AT_MS} + i / 10, i % 10, (i * 2654435761) & 0xfffffffffffffff))`;
const PAID_AT_MS = `${FIRST_PAYMENT_AT_MS} + i / 10`;
/** The customer of payment i, at both banks: each in turn. */
const customer = (accounts: number): string => `(i - 1) % ${accounts} + 1`;
const earlierPayment = (accounts: number): string => PAYMENT_ID.replaceAll(/\bi\b/g, `(i - ${accounts})`);

/** Fingerprints of the payments by customer: payments of one customer differ in nothing but their id. */
function writeFingerprints(database: DatabaseSync, accounts: number): void {
  database.exec('CREATE TEMP TABLE bodies (customer INTEGER PRIMARY KEY, fingerprint BLOB NOT NULL)');
  const insert = database.prepare('INSERT INTO bodies VALUES (?, ?)');
  for (let index = 1; index <= accounts; index++) {
    const name = `u${index}`;
    const fingerprint = fingerprintOf({
      from: { bank: PAYER_BANK, account: name }, to: { bank: PAYEE_BANK, account: name }, currency: CURRENCY, amountMinor: 1n, memo: '',
    });
    insert.run(index, Buffer.from(fingerprint, 'hex'));
  }
}

/**
 * One bank's side of all payments. Payment i is entries base + 2i - 1 (where the money leaves) and base + 2i (where it goes); the clearing
 * account is account `accounts + 2`.
 */
function settlePayments(database: DatabaseSync, side: 'debit' | 'credit', { accounts, pastPayments: last }: BooksPlan, logId: string): void {
  const clearing = accounts + 2;
  const base = 2 * accounts;
  const isDebit = side === 'debit';
  const sign = isDebit ? -1 : 1;
  const who = customer(accounts);
  writeFingerprints(database, accounts);
  database.prepare('INSERT INTO logs (number, log_id) VALUES (1, ?)').run(logId);
  database.exec(`
    ${numbers(last)} INSERT INTO legs (id, state, attempt, log, fingerprint, side, account_id, payer, payee, peer, currency, amount, memo,
        deadline_ms, reason, prepared_at_ms, ended_at_ms, previous)
      SELECT ${PAYMENT_ID}, 1, 1, 1, b.fingerprint, ${isDebit ? 0 : 1}, ${who} + 1, 'u' || (${who}), 'u' || (${who}),
        '${isDebit ? PAYEE_BANK : PAYER_BANK}', '${CURRENCY}', 1, '', ${PAID_AT_MS} + 2000, NULL, ${PAID_AT_MS}, ${PAID_AT_MS},
        ${isDebit ? `iif(i > ${accounts}, ${earlierPayment(accounts)}, NULL)` : 'NULL'}
      FROM n JOIN bodies b ON b.customer = ${who};
    ${numbers(2 * last)}, e (seq, i, own) AS (SELECT i, (i + 1) / 2, (i % 2 = 1) = ${isDebit ? 1 : 0} FROM n)
      INSERT INTO entries (seq, account_id, transfer_id, amount, posted, at_ms, previous)
      SELECT ${base} + seq, iif(own, ${who} + 1, ${clearing}), ${PAYMENT_ID}, iif(seq % 2 = 1, -1, 1),
        iif(own, ${OPENING_MINOR} + ${sign} * ((i - 1) / ${accounts} + 1), ${-sign} * i), ${PAID_AT_MS},
        iif(own, iif(i > ${accounts}, ${base} + seq - 2 * ${accounts}, 2 * (${who})), iif(i > 1, ${base} + seq - 2, NULL))
      FROM e;
    INSERT INTO accounts (id, kind, name, currency, posted, floor, frozen, last_entry)
      VALUES (${clearing}, 1, '${isDebit ? PAYEE_BANK : PAYER_BANK}/${CURRENCY}', '${CURRENCY}', ${-sign * last}, NULL, 0,
        ${base + 2 * last - (isDebit ? 0 : 1)});
    ${numbers(Math.min(accounts, last))}, newest (who, i) AS (SELECT i, (${last} - i) / ${accounts} * ${accounts} + i FROM n)
      UPDATE accounts SET posted = ${OPENING_MINOR} + ${sign} * ((newest.i - 1) / ${accounts} + 1),
        last_entry = ${base} + 2 * newest.i - ${isDebit ? 1 : 0},
        last_transfer = ${isDebit ? PAYMENT_ID.replaceAll(/\bi\b/g, 'newest.i') : 'NULL'}
      FROM newest WHERE accounts.id = newest.who + 1;
  `);
}

function decidePayments(database: DatabaseSync, { accounts, pastPayments: last }: BooksPlan): void {
  const who = customer(accounts);
  writeFingerprints(database, accounts);
  database.exec(`
    ${numbers(last)} INSERT INTO decisions (id, attempt, fingerprint, outcome, reason, from_bank, from_account, to_bank, to_account, currency,
        amount, memo, created_at_ms, decided_at_ms, seq)
      SELECT ${PAYMENT_ID}, 1, b.fingerprint, 0, NULL, '${PAYER_BANK}', 'u' || (${who}), '${PAYEE_BANK}', 'u' || (${who}), '${CURRENCY}', 1, '',
        ${PAID_AT_MS}, ${PAID_AT_MS}, i
      FROM n JOIN bodies b ON b.customer = ${who};
    UPDATE sequence SET next = ${last + 1};
  `);
}
