// A cluster over books of a known size, with users logged in, watched by process; its audit counts in the end.

import { createReadStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createPasswords } from '@strife/auth';
import { loadTls, type TlsMaterial } from '@strife/certs';
import { startCluster, type Cluster } from '@strife/cluster';
import type { Session } from '@strife/sdk';
import { auditBooks, type AuditVerdict } from './books/audit-books.ts';
import { provideBooks } from './books/cached-books.ts';
import { bookFiles, PAYEE_BANK, PAYER_BANK, type BookFiles, type BooksPlan } from './books/make-books.ts';
import type { Payees, StrifeTarget } from './load/job.ts';
import { withChildren } from './measure/process-usage.ts';
import type { Watched } from './measure/sample.ts';

export interface Stage {
  /** For reports: "10,000 accounts". */
  readonly name: string;
  readonly plan: BooksPlan;
  readonly cluster: Cluster;
  readonly files: BookFiles;
  /** The gateway, with users of the payers' bank, or of both in turn, that are logged in and stay so for the next minutes. */
  target(from?: 'payer' | 'both'): Promise<StrifeTarget>;
  /** All customers of the bank. */
  payees(bank: 'payer' | 'payee'): Payees;
  readonly watched: Watched;
  /** Reads the stores once, so that the system has in memory what fits, as it does when a bank has been up for a while. */
  readStores(): Promise<void>;
  /** Stops the cluster, audits its stores, and removes them when they are clean. */
  close(): Promise<AuditVerdict>;
  /** Stops the cluster and removes its stores. For the end of a run that failed. */
  abandon(): Promise<void>;
}

export interface StageOptions {
  readonly name: string;
  readonly plan: BooksPlan;
  /** Users that are logged in. */
  readonly payers: number;
  /** The stage's own folder; must not exist. */
  readonly directory: string;
  /** Where books are kept from run to run. */
  readonly cache: string;
  /** Where the services write CPU profiles when they stop; they run slower then. */
  readonly profilesDirectory?: string | undefined;
  /** Gives up making books. */
  readonly signal: AbortSignal;
}

export const PASSWORD = 'bench-password';
/** Sessions last an hour; they are made anew well before. */
const SESSION_AGE_MAX_MS = 15 * 60 * 1000;
const LOGINS_AT_ONCE = 4;
const TIMEOUT_MS = 30_000;
const READ_BYTES = 1024 * 1024;

let hash: Promise<string> | undefined;

/** @throws Error naming the service that did not start */
export async function openStage({ name, plan, payers, directory, cache, signal, profilesDirectory }: StageOptions): Promise<Stage> {
  const passwordHash = (): Promise<string> => (hash ??= createPasswords({}).hash(PASSWORD));
  await provideBooks(cache, plan, passwordHash, join(directory, 'data'), signal);
  const cluster = await startCluster({ root: directory, users: {}, ...(profilesDirectory === undefined ? {} : { env: profiling(profilesDirectory) }) });
  const files = bookFiles(cluster.directories.data);
  /** By bank. */
  const sessions = new Map<string, { at: number; list: readonly Session[] }>();
  let tls: TlsMaterial | undefined;

  async function sessionsAt(bank: string): Promise<readonly Session[]> {
    const known = sessions.get(bank);
    if (known !== undefined && performance.now() - known.at <= SESSION_AGE_MAX_MS) return known.list;
    const list = await logIn(cluster, bank, payers, plan.accounts);
    sessions.set(bank, { at: performance.now(), list });
    return list;
  }

  return {
    name, plan, cluster, files,
    async target(from = 'payer') {
      tls ??= await loadTls(cluster.directories.certs, 'client/dev');
      const list = await sessionsAt(PAYER_BANK);
      const others = from === 'both' ? await sessionsAt(PAYEE_BANK) : undefined;
      return { address: cluster.service('g1').address, tls, sessions: others === undefined ? list : list.flatMap((session, index) => [session, others[index]!]) };
    },
    payees: (bank) => ({ bank: bank === 'payer' ? PAYER_BANK : PAYEE_BANK, first: 1, last: plan.accounts }),
    // A bank hashes passwords in a child.
    watched: () => ({
      gateway: [cluster.service('g1').pid],
      [`bank ${PAYER_BANK}`]: withChildren(cluster.service(PAYER_BANK).pid), [`bank ${PAYEE_BANK}`]: withChildren(cluster.service(PAYEE_BANK).pid),
    }),
    async readStores() {
      for (const file of [...Object.values(files.banks), files.gateway]) await pipeline(createReadStream(file, { highWaterMark: READ_BYTES }), nowhere());
    },
    async close() {
      await cluster.stop();
      const verdict = await auditBooks(files);
      if (verdict.clean) await rm(directory, { recursive: true });
      return verdict;
    },
    async abandon() {
      await cluster.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

function nowhere(): Writable {
  return new Writable({ write: (_chunk, _encoding, written) => written() });
}

function profiling(directory: string): Record<string, string> {
  return { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${directory} --cpu-prof-interval=500` };
}

/** Payers are spread over all accounts, so that none is a neighbour of another in the books. */
export function payerNames(payers: number, accounts: number): string[] {
  return Array.from({ length: payers }, (_, index) => `u${1 + Math.floor((index * accounts) / payers)}`);
}

async function logIn(cluster: Cluster, bank: string, payers: number, accounts: number): Promise<Session[]> {
  const names = payerNames(payers, accounts);
  const sessions: Session[] = [];
  let next = 0;
  const logInSome = async (): Promise<void> => {
    const client = await cluster.connect({ timeoutMs: TIMEOUT_MS });
    try {
      while (next < names.length) {
        const index = next++;
        sessions[index] = await client.login({ bank, username: names[index]!, password: PASSWORD });
      }
    } finally {
      await client.close();
    }
  };
  await Promise.all(Array.from({ length: LOGINS_AT_ONCE }, logInSome));
  return sessions;
}
