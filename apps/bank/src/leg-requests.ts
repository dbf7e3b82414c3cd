// Reads legs and decisions off the wire, and says which field of one is wrong.

import { AMOUNT_MINOR_MAX, isCurrency } from '@strife/ledger';
import { declineReasonFromWire, fingerprintFromWire, memoFits, namePattern, transferIdFromWire, UNIX_MS_MAX } from '@strife/service';
import { DecisionOutcome, Side } from '@strife/stubs/bank';
import type { Decision as WireDecision, Leg } from '@strife/stubs/bank';
import { ATTEMPT_MAX, fingerprintOf } from '@strife/two-phase-commit';
import type { BankName, DecideCommand, LogId, PrepareCommand, TransferBody } from '@strife/two-phase-commit';

/** The command, or the name of the first field at fault. */
export type Read<T> = { readonly kind: 'ok'; readonly value: T } | { readonly kind: 'wrong'; readonly field: string };

export function readLeg(leg: Leg, logId: LogId, bank: BankName): Read<PrepareCommand> {
  const { transferId, fingerprint: claimed } = leg;
  if (transferId?.length !== 16) return { kind: 'wrong', field: 'transfer_id' };
  if (claimed?.length !== 16) return { kind: 'wrong', field: 'fingerprint' };
  const field = wrongField(leg, bank);
  if (field !== undefined) return { kind: 'wrong', field };
  const body = bodyOf(leg, bank);
  const fingerprint = fingerprintFromWire(claimed);
  if (fingerprintOf(body) !== fingerprint) return { kind: 'wrong', field: 'fingerprint' };
  const expiresAtMs = leg.expiresAtUnixMs === 0n ? undefined : Number(leg.expiresAtUnixMs);
  const terms = { body, side: sides[leg.side as keyof typeof sides], deadlineMs: Number(leg.deadlineUnixMs) };
  return { kind: 'ok', value: { id: transferIdFromWire(transferId), log: log(logId), attempt: leg.attempt, fingerprint, terms, expiresAtMs } };
}

export function readDecision(decision: WireDecision, logId: LogId): Read<DecideCommand> {
  const { transferId, fingerprint: claimed, attempt, outcome } = decision;
  if (transferId?.length !== 16) return { kind: 'wrong', field: 'transfer_id' };
  if (claimed?.length !== 16) return { kind: 'wrong', field: 'fingerprint' };
  if (attempt < 1 || attempt > ATTEMPT_MAX) return { kind: 'wrong', field: 'attempt' };
  const id = transferIdFromWire(transferId);
  const fingerprint = fingerprintFromWire(claimed);
  if (outcome === DecisionOutcome.COMMIT) return { kind: 'ok', value: { id, log: log(logId), decision: { outcome: 'committed', attempt, fingerprint } } };
  if (outcome !== DecisionOutcome.ABORT) return { kind: 'wrong', field: 'outcome' };
  const reason = declineReasonFromWire(decision.reason);
  return { kind: 'ok', value: { id, log: log(logId), decision: { outcome: 'aborted', attempt, fingerprint, ...(reason === undefined ? {} : { reason }) } } };
}

const sides = { [Side.DEBIT]: 'debit', [Side.CREDIT]: 'credit', [Side.BOTH]: 'both' } as const;

/** Of the other fields. */
function wrongField(leg: Leg, bank: BankName): string | undefined {
  if (leg.attempt < 1 || leg.attempt > ATTEMPT_MAX) return 'attempt';
  if (!(leg.side in sides)) return 'side';
  if (!namePattern.test(leg.payerAccount)) return 'payer_account';
  if (!namePattern.test(leg.payeeAccount)) return 'payee_account';
  if (!namePattern.test(leg.peerBank) || (leg.side === Side.BOTH) !== (leg.peerBank === bank)) return 'peer_bank';
  if (leg.side === Side.BOTH && leg.payerAccount === leg.payeeAccount) return 'payee_account';
  if (!isCurrency(leg.currency)) return 'currency';
  if (leg.amountMinor <= 0n || leg.amountMinor > AMOUNT_MINOR_MAX) return 'amount_minor';
  if (!memoFits(leg.memo)) return 'memo';
  if (leg.deadlineUnixMs < 0n || leg.deadlineUnixMs > UNIX_MS_MAX) return 'deadline_unix_ms';
  if (leg.expiresAtUnixMs < 0n || leg.expiresAtUnixMs > UNIX_MS_MAX) return 'expires_at_unix_ms';
  return undefined;
}

function bodyOf({ side, payerAccount, payeeAccount, peerBank, currency, amountMinor, memo }: Leg, bank: BankName): TransferBody {
  const other = peer(peerBank);
  return {
    from: { bank: side === Side.CREDIT ? other : bank, account: payerAccount },
    to: { bank: side === Side.DEBIT ? other : bank, account: payeeAccount },
    currency: currencyCode(currency), amountMinor, memo,
  };
}

/** Each message brings these texts anew, and each leg keeps its own until it ends; nearly all are the same as the one before. */
const log = lastSeen();
const peer = lastSeen();
const currencyCode = lastSeen();

/** The text that was given before, where it is the same. */
function lastSeen(): (text: string) => string {
  let last = '';
  return (text) => {
    if (text !== last) last = text;
    return last;
  };
}
