import { describe, expect, it } from '@jest/globals';
import { Status } from 'nice-grpc-common';
import { Outcome } from '@strife/stubs/type';
import { itemFailure, type CallFailure } from './call-failure.ts';

const ID = '0198c0de-0000-7000-8000-000000000001';

function notApplied(code: Status, reason: string): CallFailure {
  const outcome = Outcome.NOT_APPLIED;
  return itemFailure({ code, reason, outcome, message: 'no', field: '', retryable: true, transferId: ID }, ID);
}

describe('a "not applied" of a gateway', () => {
  it.each([
    [Status.UNAVAILABLE, 'PREPARE_TIMEOUT'],
    [Status.UNAVAILABLE, 'BANK_UNREACHABLE'],
    [Status.ABORTED, 'ATTEMPT_FENCED'],
    [Status.ABORTED, 'ATTEMPT_GIVEN_UP'],
    [Status.ABORTED, 'ID_CONTESTED'],
    [Status.RESOURCE_EXHAUSTED, 'OVERLOADED'],
  ])('also speaks of earlier sends after a look into the log (%i %s)', (code, reason) => {
    expect(notApplied(code, reason)).toMatchObject({ lookedUp: true, isGatewaysFault: false });
  });

  it.each([
    [Status.UNAVAILABLE, 'REVOCATIONS_STALE', true],
    [Status.UNAVAILABLE, 'INTENTIONS_UNKNOWN', true],
    [Status.UNAVAILABLE, 'SERVER_STOPPING', true],
    [Status.UNAVAILABLE, 'CLOCKS_DIFFER', true],
    [Status.NOT_FOUND, 'UNKNOWN_BANK', false],
    [Status.INTERNAL, 'BANK_REFUSED_LEG', false],
    [Status.UNAUTHENTICATED, 'GRANT_REFUSED', false],
    [Status.UNAVAILABLE, 'A_REASON_OF_A_LATER_RELEASE', false],
  ])('speaks of one request only for any other reason (%i %s)', (code, reason, isGatewaysFault) => {
    expect(notApplied(code, reason)).toMatchObject({ lookedUp: false, isGatewaysFault });
  });
});
