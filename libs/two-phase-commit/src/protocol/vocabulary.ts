// The words of the payment protocol, shared by both machines. Everything here is plain data.

/** A UUID in canonical lower-case form. One id has at most one effect on balances, for ever. */
export type TransferId = string;

/** A bank's stable name, such as `alpha`. */
export type BankName = string;

/** The stable name of one coordinator's decision log. Gateways that share a log are one coordinator. */
export type LogId = string;

/** 16 bytes of SHA-256 over the canonical body, as 32 lower-case hex digits. */
export type Fingerprint = string;

/**
 * The highest attempt under one id, far above what retries reach and far below what messages and stores can carry. Peers that name a
 * higher one are not believed, so that nobody can push an id, or a log, to where the next number does not fit.
 */
export const ATTEMPT_MAX = 2 ** 31 - 1;

/** Why a transfer is declined for ever. The protocol carries it and never looks inside. */
export type Reason = string;

export interface AccountName {
  readonly bank: BankName;
  readonly account: string;
}

/** What a transfer does. Two transfers under one id must be equal in every field. */
export interface TransferBody {
  readonly from: AccountName;
  readonly to: AccountName;
  /** ISO 4217. */
  readonly currency: string;
  readonly amountMinor: bigint;
  readonly memo: string;
}

/** What tells a transfer from every other one, as messages and stores carry it: 16 bytes each. */
export interface TransferKey {
  readonly id: Uint8Array;
  readonly fingerprint: Uint8Array;
}

/** A transfer as a client asks for it. */
export interface TransferRequest {
  readonly id: TransferId;
  readonly fingerprint: Fingerprint;
  /** The same two, where they are at hand, so that they are not converted for each message again. No rule looks at it. */
  readonly key?: TransferKey | undefined;
  readonly body: TransferBody;
  /** When the gateway first saw this request, in ms since the Unix epoch. For people; no rule looks at it. */
  readonly createdAtMs: number;
}

/** What a bank says to a Prepare. */
export type Vote =
  /** Bound: the leg is prepared, durably, until the coordinator decides. */
  | { readonly kind: 'yes' }
  /** Declined, durably and for ever: before this message (replayed) or by it. `atMs` is when, for people. */
  | { readonly kind: 'no'; readonly reason: Reason; readonly replayed: boolean; readonly atMs?: number }
  /** The id is applied here: before this message (replayed), or by it when the transfer stays inside the bank. */
  | { readonly kind: 'committed'; readonly replayed: boolean; readonly atMs?: number }
  /** Attempts up to and including `fence` are dead here. */
  | { readonly kind: 'fenced'; readonly fence: number }
  /** Another coordinator's log holds the leg. */
  | { readonly kind: 'busy' }
  /** The id is taken by another body; `field` is the first that differs, empty to anyone but the original payer. */
  | { readonly kind: 'mismatch'; readonly field: string }
  /** Nothing was written: the payer's grant is missing, expired, or for another account. */
  | { readonly kind: 'unauthorized' }
  /** Nothing was written: the bank cannot read the leg. */
  | { readonly kind: 'invalid'; readonly field: string };

/** What the coordinator hears instead of a vote. */
export type Silence =
  /** The Prepare never left the gateway. */
  | { readonly kind: 'unsent' }
  /** The Prepare may have arrived: the call failed or ran out of time. */
  | { readonly kind: 'unreachable' };

/** What the coordinator tells the banks. */
export type Decision =
  | { readonly outcome: 'committed'; readonly attempt: number; readonly fingerprint: Fingerprint }
  | {
      readonly outcome: 'aborted';
      readonly attempt: number;
      readonly fingerprint: Fingerprint;
      /** Present when the abort is a decline; absent when a later attempt may succeed. */
      readonly reason?: Reason;
    };

/** Why an attempt ended without applying anything, and may be tried again under the same id. */
export type TransientReason = 'timeout' | 'unreachable' | 'busy' | 'fenced' | 'unauthorized' | 'mismatch' | 'invalid' | 'inquiry';

/** What the coordinator would like its log to hold for one id. The log's compare-and-set decides. */
export interface Proposal extends TransferRequest {
  readonly attempt: number;
  readonly verdict: Verdict;
}

export type Verdict =
  | { readonly outcome: 'committed' }
  | { readonly outcome: 'declined'; readonly reason: Reason }
  /** ABORTED, retryable: the next attempt is open. */
  | { readonly outcome: 'aborted'; readonly why: TransientReason };

/** One durable row of a decision log. */
export interface DecisionRow extends Proposal {
  /** Milliseconds since the Unix epoch, stamped by whoever wrote the row. */
  readonly decidedAtMs: number;
  /** Where the log that answers with this row keeps its delivery, if it says so: told with the end of that, it spares the log a search. */
  readonly place?: number | undefined;
}

/** Both accounts are at the same bank, which applies the transfer by itself. */
export function isInsideOneBank({ from, to }: TransferBody): boolean {
  return from.bank === to.bank;
}

/** The two banks of a transfer, payer's first; one when both accounts are at the same bank. */
export function banksOf(body: TransferBody): readonly BankName[] {
  return isInsideOneBank(body) ? [body.from.bank] : [body.from.bank, body.to.bank];
}

/** The first field in which two bodies differ, by its name in the public interface, or undefined when they are equal. */
export function differingField(one: TransferBody, other: TransferBody): string | undefined {
  if (one.from.bank !== other.from.bank || one.from.account !== other.from.account) return 'from';
  if (one.to.bank !== other.to.bank || one.to.account !== other.to.account) return 'to';
  if (one.currency !== other.currency) return 'amount.currency';
  if (one.amountMinor !== other.amountMinor) return 'amount.minor_units';
  if (one.memo !== other.memo) return 'memo';
  return undefined;
}

/** The message that carries a verdict to the banks. */
export function decisionOf(row: Proposal): Decision {
  const { attempt, fingerprint, verdict } = row;
  switch (verdict.outcome) {
    case 'committed':
      return { outcome: 'committed', attempt, fingerprint };
    case 'declined':
      return { outcome: 'aborted', attempt, fingerprint, reason: verdict.reason };
    case 'aborted':
      return { outcome: 'aborted', attempt, fingerprint };
  }
}
