// What the log shows of payment calls: how many transfers, the first few ids, and how they ended. Never amounts or memos.

import { summarizeTransferIds } from '@strife/service';
import type { Summarize } from '@strife/service';
import type {
  BatchCreateTransfersRequest, BatchCreateTransfersResponse, CreateTransferRequest, CreateTransferResponse, ExplainTransferRequest, GetTransferRequest,
  InquireDecisionsRequest,
} from '@strife/stubs/gateway';
import { TransferState } from '@strife/stubs/type';

const stateNames = new Map<TransferState, string>(Object.entries(TransferState).map(([name, state]) => [state, name]));

export const callSummaries: Readonly<Record<string, Summarize>> = {
  '/strife.gateway.v1.TransferService/CreateTransfer': (request, response) => {
    const { transfer } = (response ?? {}) as Partial<CreateTransferResponse>;
    const outcome = transfer === undefined ? {} : { state: stateNames.get(transfer.state), replayed: transfer.replayed };
    return { ...summarizeTransferIds([(request as CreateTransferRequest).id]), ...outcome };
  },
  '/strife.gateway.v1.TransferService/BatchCreateTransfers': (request, response) => {
    const { items } = request as BatchCreateTransfersRequest;
    return { ...summarizeTransferIds(items.map(({ id }) => id)), ...countOutcomes(response as BatchCreateTransfersResponse | undefined) };
  },
  '/strife.gateway.v1.TransferService/GetTransfer': (request) => summarizeTransferIds([(request as GetTransferRequest).id]),
  '/strife.gateway.v1.TransferService/ExplainTransfer': (request) => summarizeTransferIds([(request as ExplainTransferRequest).id]),
  '/strife.gateway.v1.CoordinatorService/InquireDecisions': (request) =>
    summarizeTransferIds((request as InquireDecisionsRequest).inquiries.map(({ transferId }) => transferId)),
};

function countOutcomes(response: BatchCreateTransfersResponse | undefined): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { result } of response?.results ?? []) {
    const outcome = result?.$case === 'transfer' ? (stateNames.get(result.value.state) ?? 'UNKNOWN') : 'FAILED';
    counts[outcome] = (counts[outcome] ?? 0) + 1;
  }
  return counts;
}
