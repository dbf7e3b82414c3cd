// What the log shows of a coordinator's calls: how many legs or decisions, and the first few ids.

import { summarizeTransferIds } from '@strife/service';
import type { Summarize } from '@strife/service';
import type { DecideRequest, ExplainTransferRequest, PrepareRequest } from '@strife/stubs/bank';

export const callSummaries: Readonly<Record<string, Summarize>> = {
  '/strife.bank.v1.BankService/ExplainTransfer': (request) => summarizeTransferIds([(request as ExplainTransferRequest).transferId]),
  '/strife.bank.v1.ParticipantService/Prepare': (request) => summarizeTransferIds((request as PrepareRequest).legs.map(({ transferId }) => transferId ?? NO_ID)),
  '/strife.bank.v1.ParticipantService/Decide': (request) =>
    summarizeTransferIds((request as DecideRequest).decisions.map(({ transferId }) => transferId ?? NO_ID)),
};

const NO_ID = new Uint8Array(0);
