// strife.gateway.v1.CoordinatorService: tells banks what became of the legs that they hold prepared.

import { AMOUNT_MINOR_MAX, isCurrency } from '@strife/ledger';
import { declineReasonToWire, memoFits, namePattern, transferIdFromWire } from '@strife/service';
import type { ServiceContext } from '@strife/service';
import { InquiryOutcome } from '@strife/stubs/gateway';
import type { CoordinatorServiceImplementation, Inquiry as WireInquiry, InquiryAnswer as WireAnswer } from '@strife/stubs/gateway';
import { DeclineReason } from '@strife/stubs/type';
import { ATTEMPT_MAX, fingerprintOf } from '@strife/two-phase-commit';
import type { Clock, Coordinator, DecisionLog, Inquiry, InquiryAnswer } from '@strife/two-phase-commit';
import { Status } from 'nice-grpc-common';
import { invalidArgument, toRpcError } from './failures.ts';

const INQUIRIES_MAX = 10_000;

export interface CoordinatorApiOptions {
  readonly coordinator: Coordinator;
  readonly log: DecisionLog;
  readonly clock: Clock;
  /** Banks that this gateway has ever met. */
  readonly isKnown: (bank: string) => boolean;
}

export function createCoordinatorApi({ coordinator, log, clock, isKnown }: CoordinatorApiOptions): CoordinatorServiceImplementation<ServiceContext> {
  return {
    async inquireDecisions({ logId, inquiries }, { peer }) {
      if (logId !== log.logId) {
        throw toRpcError({
          code: Status.FAILED_PRECONDITION, reason: 'OTHER_LOG', field: 'log_id',
          message: `log_id: this gateway serves log ${log.logId}`, outcome: 'not_applied', retryable: false,
        });
      }
      if (inquiries.length === 0 || inquiries.length > INQUIRIES_MAX) {
        throw toRpcError(invalidArgument('inquiries', 'BATCH_SIZE', `must be 1 to ${INQUIRIES_MAX}, not ${inquiries.length}`));
      }
      const answers = await coordinator.inquire(inquiries.map((inquiry, index) => checkInquiry(inquiry, `inquiries[${index}]`, peer.name, isKnown, clock.nowMs())));
      return { answers: answers.map(answerToWire) };
    },
  };
}

/**
 * A bank may ask only about transfers that it takes part in, and that a client could have asked for: an inquiry can end an attempt, and
 * leaves a row that is then delivered to both banks.
 */
function checkInquiry(inquiry: WireInquiry, at: string, bank: string, isKnown: (bank: string) => boolean, nowMs: number): Inquiry & { deadlineMs: number } {
  const { transferId, attempt, from, to, amount, memo, deadlineUnixMs } = inquiry;
  if (transferId.length !== 16) throw toRpcError(invalidArgument(`${at}.transfer_id`, 'MALFORMED_ID', 'must be 16 bytes'));
  if (attempt < 1 || attempt > ATTEMPT_MAX) throw toRpcError(invalidArgument(`${at}.attempt`, 'INVALID_ATTEMPT', `must be 1 to ${ATTEMPT_MAX}`));
  if (from === undefined || to === undefined || amount === undefined) throw toRpcError(invalidArgument(at, 'MISSING', 'needs from, to and amount'));
  if (from.bank !== bank && to.bank !== bank) throw toRpcError(invalidArgument(at, 'NOT_A_PARTICIPANT', `bank ${bank} has no part in this transfer`));
  const other = from.bank === bank ? to.bank : from.bank;
  if (other === bank || !isKnown(other)) throw toRpcError(invalidArgument(at, 'UNKNOWN_BANK', 'is not between two banks that this gateway knows'));
  const wrongAmount = !isCurrency(amount.currency) || amount.minorUnits <= 0n || amount.minorUnits > AMOUNT_MINOR_MAX;
  if (wrongAmount || !namePattern.test(from.account) || !namePattern.test(to.account) || !memoFits(memo)) {
    throw toRpcError(invalidArgument(at, 'INVALID_BODY', 'is about a transfer that no gateway would run'));
  }
  const body = { from, to, currency: amount.currency, amountMinor: amount.minorUnits, memo };
  return { id: transferIdFromWire(transferId), attempt, body, fingerprint: fingerprintOf(body), createdAtMs: nowMs, deadlineMs: Number(deadlineUnixMs) };
}

function answerToWire(answer: InquiryAnswer): WireAnswer {
  const none = { attempt: 0, reason: DeclineReason.UNSPECIFIED };
  switch (answer.kind) {
    case 'committed':
      return { ...none, outcome: InquiryOutcome.COMMITTED, attempt: answer.attempt };
    case 'aborted':
      return {
        outcome: InquiryOutcome.ABORTED,
        attempt: answer.attempt,
        reason: answer.reason === undefined ? DeclineReason.UNSPECIFIED : declineReasonToWire(answer.reason),
      };
    case 'pending':
      return { ...none, outcome: InquiryOutcome.PENDING };
    case 'write-first':
      // The coordinator has written and asked again; saying "aborted" here would speak of a write that does not exist.
      throw new Error('an inquiry was left unanswered by the decision log');
  }
}
