// Payments between two PostgreSQL servers: PREPARE TRANSACTION at both, the decision durable in a third, COMMIT PREPARED at both. Each
// step is one round trip, which is the best that a client can do.

import { randomUUID } from 'node:crypto';
import pg from 'pg';
import type { PostgresAddress, PostgresJob } from '../load/job.ts';
import type { Measure } from '../load/load-main.ts';
import type { LoopResult, StepResult } from '../load/measure-loop.ts';

/** One worker's connections. */
interface Lanes {
  readonly payer: pg.Client;
  readonly payee: pg.Client;
  readonly decisions: pg.Client;
}

export async function postgresPayments(job: PostgresJob, measure: Measure): Promise<LoopResult> {
  await using open = new AsyncDisposableStack();
  const lane = async (address: PostgresAddress): Promise<pg.Client> => {
    const client = new pg.Client({ ...address, database: 'postgres' });
    // A query that is under way fails by itself; an idle connection that is cut must not end the process.
    client.on('error', () => {});
    await client.connect();
    open.defer(() => client.end());
    return client;
  };
  const lanes: Lanes[] = [];
  for (let worker = 0; worker < job.workers; worker++) {
    lanes.push({ payer: await lane(job.payer), payee: await lane(job.payee), decisions: await lane(job.decisions) });
  }
  const pay = job.batchItems === 1 ? payOne : payMany;
  return await measure({ workers: job.workers, step: (worker) => pay(lanes[worker]!, job, worker) });
}

async function payOne({ payer, payee, decisions }: Lanes, { accounts }: PostgresJob): Promise<StepResult> {
  const id = randomUUID();
  await both(
    prepareOne(payer, id, anyAccount(1, accounts), -1),
    prepareOne(payee, id, anyAccount(1, accounts), 1),
  );
  await decisions.query(`INSERT INTO decisions (id, payments) VALUES ('${id}', 1)`);
  await both(payer.query(`COMMIT PREPARED '${id}'`), payee.query(`COMMIT PREPARED '${id}'`));
  return { done: 1 };
}

async function prepareOne(bank: pg.Client, id: string, account: number, amount: number): Promise<void> {
  const results = (await bank.query(
    `BEGIN; UPDATE accounts SET balance = balance + ${amount} WHERE id = ${account} AND balance + ${amount} >= 0;` +
    `INSERT INTO entries (transfer, account, amount) VALUES ('${id}', ${account}, ${amount}); PREPARE TRANSACTION '${id}'`,
  )) as unknown as pg.QueryResult[];
  if (results[1]?.rowCount !== 1) throw new Error(`account ${account} was not moved`);
}

const UPDATE_MANY = `
  WITH moved AS (
    UPDATE accounts SET balance = balance + total
    FROM (SELECT account, sum(amount) AS total FROM unnest($2::int[], $3::bigint[]) AS t (account, amount) GROUP BY account) s
    WHERE id = s.account AND balance + total >= 0 RETURNING id
  )
  INSERT INTO entries (transfer, account, amount) SELECT * FROM unnest($1::uuid[], $2::int[], $3::bigint[])
  RETURNING (SELECT count(*) FROM moved)`;

async function payMany({ payer, payee, decisions }: Lanes, { accounts, batchItems, workers }: PostgresJob, worker: number): Promise<StepResult> {
  const share = Math.floor(accounts / workers);
  const ids = Array.from({ length: batchItems }, () => randomUUID());
  const accountsOfWorker = (): number[] => ids.map(() => anyAccount(1 + worker * share, share));
  const gid = randomUUID();
  await both(
    prepareMany(payer, gid, ids, accountsOfWorker(), -1),
    prepareMany(payee, gid, ids, accountsOfWorker(), 1),
  );
  await decisions.query(`INSERT INTO decisions (id, payments) VALUES ('${gid}', ${batchItems})`);
  await both(payer.query(`COMMIT PREPARED '${gid}'`), payee.query(`COMMIT PREPARED '${gid}'`));
  return { done: batchItems };
}

async function prepareMany(bank: pg.Client, gid: string, ids: readonly string[], accounts: readonly number[], amount: number): Promise<void> {
  await bank.query('BEGIN');
  const result = await bank.query<{ count: string }>({ name: 'many', text: UPDATE_MANY, values: [ids, accounts, ids.map(() => amount)] });
  if (Number(result.rows[0]?.count) !== new Set(accounts).size) throw new Error('not every account was moved');
  await bank.query(`PREPARE TRANSACTION '${gid}'`);
}

function anyAccount(first: number, count: number): number {
  return first + Math.floor(Math.random() * count);
}

async function both(one: Promise<unknown>, other: Promise<unknown>): Promise<void> {
  await Promise.all([one, other]);
}
