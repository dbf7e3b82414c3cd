// What the log shows of a coordinator's calls: how many legs or decisions, and the first few ids.

import { summarizeTransferIds } from '@strife/service';
import type { Summarize } from '@strife/service';
import type { DecideRequest, ExplainTransferRequest, PrepareRequest } from '@strife/stubs/bank';

export const callSummaries: Readonly<Record<string, Summarize>> = {
  '/strife.bank.v1.BankService/ExplainTransfer': (request) => summarizeTransferIds([(request as ExplainTransferRequest).transferId]),
  '/strife.bank.v1.ParticipantService/Prepare': (request) => {
    const { legs, decisions } = request as PrepareRequest;
    if (decisions.length === 0) return summarizeIdsOf(legs);
    const { transfers, transfer_ids } = summarizeIdsOf(decisions);
    return { ...summarizeIdsOf(legs), decisions: transfers, decision_ids: transfer_ids };
  },
  '/strife.bank.v1.ParticipantService/Decide': (request) => summarizeIdsOf((request as DecideRequest).decisions),
};

function summarizeIdsOf(items: readonly { readonly transferId?: Uint8Array | undefined }[]): ReturnType<typeof summarizeTransferIds> {
  return summarizeTransferIds(items.map(({ transferId }) => transferId ?? NO_ID));
}

const NO_ID = new Uint8Array(0);
