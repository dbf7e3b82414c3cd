import { expect, it } from '@jest/globals';
import { transferIdToWire } from '@strife/service';
import { Decision, DecideRequest, Leg, PrepareRequest } from '@strife/stubs/bank';
import { callSummaries } from './call-summaries.ts';

const [one, two] = ['0190f8a2-7c1e-7d3a-9f6b-000000000001', '0190f8a2-7c1e-7d3a-9f6b-000000000002'];
const leg = Leg.fromPartial({ transferId: transferIdToWire(one) });
const decision = Decision.fromPartial({ transferId: transferIdToWire(two) });

it('names the decisions that travel with legs, apart from these', () => {
  const summarize = callSummaries['/strife.bank.v1.ParticipantService/Prepare']!;
  expect(summarize(PrepareRequest.fromPartial({ legs: [leg] }), undefined)).toEqual({ transfers: 1, transfer_ids: [one] });
  expect(summarize(PrepareRequest.fromPartial({ legs: [leg], decisions: [decision] }), undefined)).toEqual({
    transfers: 1, transfer_ids: [one], decisions: 1, decision_ids: [two],
  });
});

it('says of an id that is missing that it is empty', () => {
  const summarize = callSummaries['/strife.bank.v1.ParticipantService/Decide']!;
  expect(summarize(DecideRequest.fromPartial({ decisions: [{}, decision] }), undefined)).toEqual({ transfers: 2, transfer_ids: ['', two] });
});
