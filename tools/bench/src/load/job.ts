// What a load process can be told to do. Plain data: it travels between processes.

import type { Session } from '@strife/sdk';
import type { TlsMaterial } from '@strife/certs';

/** A gateway, and the users that are logged in there. */
export interface StrifeTarget {
  /** `host:port` */
  readonly address: string;
  readonly tls: TlsMaterial;
  readonly sessions: readonly Session[];
}

/** Accounts `u<first>` to `u<last>` of a bank; a payment goes to any of them. */
export interface Payees {
  readonly bank: string;
  readonly first: number;
  readonly last: number;
}

export type WaitFor = 'decided' | 'settled';

export interface PaymentTerms {
  readonly target: StrifeTarget;
  readonly payees: Payees;
  readonly wait: WaitFor;
}

/** One `create` call a payment, all through one client. */
export interface SdkCreateJob extends PaymentTerms {
  readonly kind: 'sdk-create';
  readonly callers: number;
  /** Whether the SDK may gather calls into one. */
  readonly coalesce: boolean;
}

/** `createMany`, each caller with a client and a payer of its own. */
export interface SdkBatchJob extends PaymentTerms {
  readonly kind: 'sdk-batch';
  readonly callers: number;
  readonly batchItems: number;
  /** Whom a payer pays whose bank is the payees' own: so money goes both ways. */
  readonly back?: Payees | undefined;
}

/** BatchCreateTransfers over bare HTTP/2, each caller with a payer of its own. */
export interface LeanBatchJob extends PaymentTerms {
  readonly kind: 'lean-batch';
  readonly callers: number;
  readonly batchItems: number;
}

/** CreateTransfer over bare HTTP/2: the cheapest client there is, so that the server is measured. */
export interface UnaryJob extends PaymentTerms {
  readonly kind: 'unary';
  readonly concurrency: number;
  /** Arrivals at this rate, in place of a closed loop. */
  readonly perSecond?: number;
}

export interface ReadJob {
  readonly kind: 'read';
  readonly target: StrifeTarget;
  readonly call: 'balance' | 'history';
  readonly concurrency: number;
}

export interface LoginJob {
  readonly kind: 'login';
  readonly target: StrifeTarget;
  readonly concurrency: number;
  readonly bank: string;
  /** `u1` to `u<users>` */
  readonly users: number;
  readonly password: string;
}

/** Appends of 4 KiB, each followed by fdatasync, one after the other. */
export interface SyncJob {
  readonly kind: 'fdatasync';
  readonly directory: string;
}

/** A unary call with an empty message each way, by nice-grpc. */
export interface EmptyCallJob {
  readonly kind: 'empty-call';
  readonly address: string;
  readonly tls: TlsMaterial;
  readonly concurrency: number;
}

/** One bank's legs, prepared and settled by bare SQL in batches. */
export interface SqliteLegsJob {
  readonly kind: 'sqlite-legs';
  readonly directory: string;
  readonly batchItems: number;
  readonly accounts: number;
}

export interface PostgresAddress {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
}

/** Payments between two PostgreSQL servers by two-phase commit, with the decision in a third. */
export interface PostgresJob {
  readonly kind: 'postgres';
  readonly payer: PostgresAddress;
  readonly payee: PostgresAddress;
  readonly decisions: PostgresAddress;
  readonly accounts: number;
  readonly workers: number;
  /** Payments in one prepared transaction. Above 1, by set-based SQL on accounts that no other worker touches. */
  readonly batchItems: number;
}

export type Job =
  | SdkCreateJob | SdkBatchJob | LeanBatchJob | UnaryJob | ReadJob | LoginJob | SyncJob | EmptyCallJob | SqliteLegsJob | PostgresJob;
