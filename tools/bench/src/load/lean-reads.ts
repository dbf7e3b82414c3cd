// Reads from the lean generator.

import { AccountServiceDefinition, GetAccountRequest, ListEntriesRequest } from '@strife/stubs/gateway';
import { frame, openCalls } from './http2-calls.ts';
import type { ReadJob } from './job.ts';
import { answered } from './lean-payments.ts';
import type { Measure } from './load-main.ts';
import type { LoopResult } from './measure-loop.ts';

const READ_PATHS = {
  balance: `/${AccountServiceDefinition.fullName}/GetAccount`,
  history: `/${AccountServiceDefinition.fullName}/ListEntries`,
};
const HISTORY_PAGE_SIZE = 50;

export async function reads({ target, call, concurrency }: ReadJob, measure: Measure): Promise<LoopResult> {
  const calls = await openCalls(target.address, target.tls);
  const message = frame(call === 'balance'
    ? GetAccountRequest.encode(GetAccountRequest.fromPartial({})).finish()
    : ListEntriesRequest.encode(ListEntriesRequest.fromPartial({ pageSize: HISTORY_PAGE_SIZE })).finish());
  const asks = target.sessions.map(({ token }) => calls.to(READ_PATHS[call], token));
  try {
    return await measure({
      workers: concurrency,
      step: (worker) => asks[worker % asks.length]!(message).then((answer) => answered(answer)),
    });
  } finally {
    calls.close();
  }
}
