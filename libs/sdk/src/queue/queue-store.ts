// What a queue of payments keeps, and the port to where it keeps it.

import type { Money } from '@strife/ledger';
import type { Transfer } from '../model.ts';

/**
 * - `queued`: waits for its turn, or for a gateway. `sending`: on its way, or it was when the program died.
 * - `needs-login`: waits until its payer logs in.
 * - `done`, `declined`: its bank has answered, for ever. `expired`: it was not applied in time and never will be.
 * - `failed`: set aside with its `problem`; nothing more is done for it until `retry`.
 */
export type QueueState = 'queued' | 'sending' | 'needs-login' | 'done' | 'declined' | 'expired' | 'failed';

/** The states of payments that are still to be delivered. */
export const PENDING_STATES = ['queued', 'sending', 'needs-login'] as const satisfies readonly QueueState[];

/** A payment in the queue. */
export interface QueuedTransfer {
  /** The UUID that it is sent under, always the same. */
  readonly id: string;
  /** The payer, such as `alpha/alice`. */
  readonly from: string;
  /** The payee, such as `beta/bob`. */
  readonly to: string;
  readonly amount: Money;
  readonly memo: string;
  readonly state: QueueState;
  readonly createdAt: Date;
  /** When the payer no longer wants it; absent for never. */
  readonly expiresAt?: Date | undefined;
  /** How often it was sent. */
  readonly attempts: number;
  /** A send of it is without a certain answer: its money may have moved. */
  readonly unanswered: boolean;
  /** Why the last attempt did not end it, or why it was set aside. */
  readonly problem?: { readonly code: string; readonly message: string } | undefined;
  /** The gateway's answer: set when done or declined, and when a bank said that it had expired. */
  readonly transfer?: Transfer | undefined;
  /** The place of its result in `results`, from 1; absent while it is pending. */
  readonly resultSeq?: number | undefined;
}

/** A payment as stores keep it. */
export interface QueueRow extends QueuedTransfer {
  /** Answers in a row that made no sense. */
  readonly badAnswers: number;
}

/** Which rows, in the order in which they were queued. All of them must be true of a row; nothing given means all rows. */
export interface QueueSelection {
  readonly ids?: readonly string[] | undefined;
  readonly payer?: string | undefined;
  readonly states?: readonly QueueState[] | undefined;
  readonly limit?: number | undefined;
}

/** What is pending in the queue, of all payers. */
export interface QueueUsage {
  readonly payments: number;
  /** The sum in the currency that was asked for. */
  readonly total: Money;
}

/** How far the results go. */
export interface ResultMarks {
  /** The `resultSeq` of the latest result; 0 for none. */
  readonly last: number;
  /** The results up to this one have been acknowledged. */
  readonly acknowledged: number;
}

/** Storage that could not be read, and where it is now. */
export interface SetAside {
  readonly path: string;
  readonly reason: string;
}

/** The right to deliver one payer's payments; nobody else has it until it is released. */
export interface Claim {
  release(): void;
}

/**
 * Where the payments are kept. Every method that changes something is one transaction, and durable when it resolves: it
 * survives the death of the process and of the machine.
 *
 * Rejects with QueueStorageError when the storage fails; what a given function throws, rejects with that and changes nothing.
 */
export interface QueueStore {
  /** For messages: the file. */
  readonly location: string;
  /** Set if there was a corrupt store in this place. */
  readonly setAside?: SetAside | undefined;
  /**
   * Adds a row. `admit` is called with what is pending and throws to refuse it.
   *
   * @returns the row that is there already if there is one with this id; `admit` is not called then
   */
  add(row: QueueRow, admit: (usage: QueueUsage) => void): Promise<QueueRow>;
  list(selection: QueueSelection): Promise<QueueRow[]>;
  /** The payers that have pending payments. */
  payers(): Promise<string[]>;
  /** When the next pending payment without an unanswered send is past its time; undefined if none ever is. */
  nextExpiry(): Promise<Date | undefined>;
  /**
   * Reads the selected rows and writes those that `rule` returns, which are some of them with new values. A row that is no
   * longer pending gets the next `resultSeq`, unless it has one. Returns what was written.
   */
  change(selection: QueueSelection, rule: (rows: readonly QueueRow[]) => readonly QueueRow[]): Promise<QueueRow[]>;
  /** Removes the row unless `check` throws. Does nothing when there is none. */
  remove(id: string, check: (row: QueueRow) => void): Promise<void>;
  /** Rows with a result after `seq`, in the order of their results. */
  results(seq: number, limit: number): Promise<QueueRow[]>;
  marks(): Promise<ResultMarks>;
  /** Acknowledges the results up to `seq`; those may be forgotten. Never goes back. */
  acknowledge(seq: number): Promise<void>;
  /** Undefined while anybody else, in this process or another, has the claim. It ends with the process that has it. */
  claim(payer: string): Promise<Claim | undefined>;
  /** Calls the listener after every change, whoever made it. Returns what ends that. */
  watch(listener: () => void): () => void;
  /** Idempotent. */
  close(): Promise<void>;
}
