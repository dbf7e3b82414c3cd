// What the runtimes need from outside: a durable decision log, links to banks, a bank's books, a clock.

import type { LedgerEffect, LegState } from './protocol/participant-machine.ts';
import type {
  BankName, Decision, DecisionRow, LogId, Proposal, Reason, Silence, TransferBody, TransferId, TransferRequest, Vote,
} from './protocol/vocabulary.ts';

/** Time and turns of the event loop. Never a source of safety: no rule of the protocol trusts a clock. */
export interface Clock {
  /** Milliseconds since the Unix epoch: for people and for messages. It may step. */
  nowMs(): number;
  /** Milliseconds since some moment, for delays. It never steps. */
  monotonicMs(): number;
  /** Calls back once after `delayMs`; the returned function cancels. */
  after(delayMs: number, callback: () => void): () => void;
  /** Calls back once everything that has already arrived is taken in. */
  soon(callback: () => void): void;
}

/** Every bank has acknowledged the decision of the row that the log held for this id at this attempt. */
export interface FinishedDelivery {
  readonly id: TransferId;
  readonly attempt: number;
  /** That of the row, where it had one. */
  readonly place?: number | undefined;
}

/**
 * The coordinator's durable table, one row an id. A failed write is fatal: implementations stop the process and
 * never retry in place.
 */
export interface DecisionLog {
  /** Stable for the life of the log; banks keep it with each prepared leg. */
  readonly logId: LogId;
  /** No other process can write this log, so an attempt that does not run here does not run at all. */
  readonly exclusive: boolean;
  /** The rows of these ids, in their order. */
  find(ids: readonly TransferId[]): Promise<readonly (DecisionRow | undefined)[]>;
  /**
   * Forgets the deliveries `finished` and applies each proposal by compare-and-set (`mayReplace`), in order; all in one
   * transaction and one sync. A replaced row is to be delivered anew. Resolves, when all of it is durable, with the row that
   * each proposal's id then has, whoever wrote it.
   *
   * A delivery is forgotten only where the row is still at that attempt. A row that has gone on to a later one is delivered by
   * whoever took it there, and stays: the word of an earlier attempt's end may come late, also from another gateway on this
   * log. Unknown and repeated deliveries change nothing. Marking rows as finished needs no sync of its own: with empty
   * `proposals` it may be written later.
   */
  decide(proposals: readonly Proposal[], finished: readonly FinishedDelivery[]): Promise<readonly DecisionRow[]>;
  /** Up to `limit` rows whose decisions are not known to be delivered, oldest first, after the one with id `after`. */
  unfinished(limit: number, after?: TransferId): Promise<readonly DecisionRow[]>;
  /** How many rows there are whose decisions are not known to be delivered. */
  countUnfinished(): Promise<number>;
}

/** Which half of a transfer a bank is asked for. */
export type Side = 'debit' | 'credit' | 'both';

/** One leg on its way to a bank. */
export interface PrepareLeg {
  readonly request: TransferRequest;
  readonly attempt: number;
  readonly side: Side;
  /** When the coordinator gives the attempt up, in ms since the Unix epoch. */
  readonly deadlineMs: number;
  /** The payer's grant; opaque. */
  readonly grant: string;
  /** When the payer no longer wants the transfer, by the clock of the payer's bank; undefined for never. */
  readonly expiresAtMs?: number | undefined;
}

/** When a decision is first sent: `now`, or, where nobody waits until it is carried out, `soon`, with the next legs for that bank if there are any. */
export type Haste = 'now' | 'soon';

/** The coordinator's way to the banks. Calls back asynchronously, never from inside `prepare` or `decide`. */
export interface BankLink {
  /** Whether a leg for this bank would be sent: false is said before anything left the gateway. */
  admit(bank: BankName): 'ready' | 'unreachable' | 'overloaded';
  /** Sends the leg at most once; calls back exactly once, with the leg and its vote or silence: one function can hear the votes of all legs. */
  prepare<Leg extends PrepareLeg>(bank: BankName, leg: Leg, onVote: (leg: Leg, vote: Vote | Silence) => void): void;
  /** Sends the decision again and again, for ever, until the bank acknowledges it; then calls back once, with what it was given. */
  decide<Request extends TransferRequest>(
    bank: BankName, request: Request, decision: Decision, haste: Haste, onAcknowledged: (request: Request, decision: Decision) => void,
  ): void;
}

/** One leg as a bank keeps it: the machine's state and the terms it is about. */
export interface LegRecord {
  readonly state: LegState;
  /** Absent for a fence of an id that was never prepared here. */
  readonly terms?: LegTerms | undefined;
  /** When the leg was committed, declined or aborted, in ms since the Unix epoch; null while it is prepared. */
  readonly endedAtMs?: number | null | undefined;
  /** When it was last prepared, by the bank's clock; the books say it, and nobody tells them. */
  readonly preparedAtMs?: number | undefined;
}

export interface LegTerms {
  readonly body: TransferBody;
  readonly side: Side;
  readonly deadlineMs: number;
}

/** One batch of a bank's work: all of it is one transaction with one sync. */
export interface LegBatch {
  /** The leg as it stands with everything that this batch already did to it. */
  leg(id: TransferId): LegRecord;
  /** What the ledger says to a new hold: undefined to accept, or why to decline for ever. */
  mayHold(terms: LegTerms): Reason | undefined;
  /** Puts the new state and its ledger effect into the batch. */
  apply(id: TransferId, record: LegRecord, effect: LedgerEffect): void;
}

/** A bank's books. */
export interface Resource {
  /**
   * Runs `work`, and makes durable what it put into the batch; all of it or nothing. Resolves with what `work` returned once that is so. A failure
   * is fatal: the process stops and restarts from its log.
   */
  write<T>(work: (batch: LegBatch) => T): Promise<T>;
}
