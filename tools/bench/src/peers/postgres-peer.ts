// The peer: three PostgreSQL servers, two as banks and one for decisions; made, filled, checked and stopped.

import { join } from 'node:path';
import pg from 'pg';
import type { PostgresAddress } from '../load/job.ts';
import { startPostgres, type PostgresServer } from './postgres-server.ts';

export interface PostgresPeer {
  readonly payer: PostgresServer;
  readonly payee: PostgresServer;
  readonly decisions: PostgresServer;
  readonly accounts: number;
  readonly version: string;
  /** Whether every payment is at both banks or at neither, is decided, and moved what it should. Undefined: all is well. */
  findFault(): Promise<string | undefined>;
  stop(): Promise<void>;
}

const OPENING_MINOR = 1_000_000_000;
const BANK_SCHEMA = (accounts: number): string => `
  CREATE TABLE accounts (id int PRIMARY KEY, balance bigint NOT NULL CHECK (balance >= 0));
  CREATE TABLE entries (transfer uuid PRIMARY KEY, account int NOT NULL, amount bigint NOT NULL);
  INSERT INTO accounts SELECT n, ${OPENING_MINOR} FROM generate_series(1, ${accounts}) AS n;
  VACUUM ANALYZE accounts;
`;
const DECISION_SCHEMA = 'CREATE TABLE decisions (id uuid PRIMARY KEY, payments int NOT NULL)';

/** @throws Error that says why PostgreSQL cannot run here */
export async function startPeer(directory: string, accounts: number): Promise<PostgresPeer> {
  const starts = await Promise.allSettled(['payer', 'payee', 'decisions'].map((name) => startPostgres(join(directory, name))));
  const started = starts.flatMap((start) => (start.status === 'fulfilled' ? [start.value] : []));
  const stop = async (): Promise<void> => void (await Promise.all(started.map((server) => server.stop())));
  const failed = starts.find((start) => start.status === 'rejected');
  if (failed !== undefined) {
    await stop();
    throw failed.reason;
  }
  const [payer, payee, decisions] = started as [PostgresServer, PostgresServer, PostgresServer];
  try {
    await Promise.all([payer, payee].map(({ address }) => inEach(address, BANK_SCHEMA(accounts))));
    await inEach(decisions.address, DECISION_SCHEMA);
    const [{ version }] = (await ask(payer.address, "SELECT current_setting('server_version') AS version")) as [{ version?: string }];
    return {
      payer, payee, decisions, accounts, stop,
      version: version ?? '18',
      findFault: () => findFault(payer.address, payee.address, decisions.address, accounts),
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function findFault(payer: PostgresAddress, payee: PostgresAddress, decisions: PostgresAddress, accounts: number): Promise<string | undefined> {
  const books = `SELECT (SELECT sum(balance) FROM accounts)::text AS total, (SELECT count(*) FROM entries)::text AS entries,
    (SELECT coalesce(sum(amount), 0) FROM entries)::text AS moved, (SELECT count(*) FROM pg_prepared_xacts)::text AS prepared,
    (SELECT coalesce(sum(hashtextextended(transfer::text, 0)::numeric), 0) FROM entries)::text AS ids`;
  const [[from], [to], [decided]] = await Promise.all([ask(payer, books), ask(payee, books), ask(decisions, 'SELECT coalesce(sum(payments), 0)::text AS payments FROM decisions')]);
  if (from === undefined || to === undefined || decided === undefined) return 'the books cannot be read';
  if (from['prepared'] !== '0' || to['prepared'] !== '0') return `in doubt: ${from['prepared']} and ${to['prepared']}`;
  if (from['ids'] !== to['ids'] || from['entries'] !== decided['payments']) return 'the two banks and the decisions do not hold the same payments';
  const opening = BigInt(accounts) * BigInt(OPENING_MINOR);
  const isWhole = BigInt(from['total'] ?? 0) - BigInt(from['moved'] ?? 0) === opening && BigInt(to['total'] ?? 0) - BigInt(to['moved'] ?? 0) === opening;
  return isWhole && BigInt(from['moved'] ?? 0) === -BigInt(to['moved'] ?? 0) ? undefined : 'balances and entries differ';
}

/** Statement by statement, since VACUUM runs in no transaction. */
async function inEach(address: PostgresAddress, script: string): Promise<void> {
  for (const statement of script.split(';')) if (statement.trim() !== '') await ask(address, statement);
}

async function ask(address: PostgresAddress, query: string): Promise<Record<string, string>[]> {
  const client = new pg.Client({ ...address, database: 'postgres' });
  await client.connect();
  try {
    return (await client.query<Record<string, string>>(query)).rows;
  } finally {
    await client.end();
  }
}
