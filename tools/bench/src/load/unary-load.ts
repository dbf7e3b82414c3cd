// Loads of single calls from the lean generator: payments under ids of their own, and reads.

import { newTransferId } from '@strife/sdk';
import {
  AccountServiceDefinition, CreateTransferRequest, CreateTransferResponse, GetAccountRequest, ListEntriesRequest, TransferServiceDefinition, WaitFor,
} from '@strife/stubs/gateway';
import { TransferState } from '@strife/stubs/type';
import { openCalls } from './http2-calls.ts';
import type { ReadJob, UnaryJob } from './job.ts';
import type { Measure } from './load-main.ts';
import type { LoopResult, StepResult } from './measure-loop.ts';
import { anyPayee } from './payments.ts';

const CREATE_PATH = `/${TransferServiceDefinition.fullName}/CreateTransfer`;
const READ_PATHS = {
  balance: `/${AccountServiceDefinition.fullName}/GetAccount`,
  history: `/${AccountServiceDefinition.fullName}/ListEntries`,
};
const HISTORY_PAGE_SIZE = 50;

export async function unaryPayments({ target, payees, wait, concurrency, perSecond }: UnaryJob, measure: Measure): Promise<LoopResult> {
  const calls = await openCalls(target.address, target.tls);
  const waitFor = wait === 'decided' ? WaitFor.DECIDED : WaitFor.SETTLED;
  const { sessions } = target;
  try {
    return await measure({
      workers: concurrency,
      perSecond,
      async step(worker): Promise<StepResult> {
        const request = CreateTransferRequest.fromPartial({
          id: newTransferId(), to: { bank: payees.bank, account: anyPayee(payees) }, amount: { currency: 'EUR', minorUnits: 1n }, waitFor, earlierSendsAnswered: true,
        });
        const answer = await calls.call(CREATE_PATH, sessions[worker % sessions.length]!.token, CreateTransferRequest.encode(request).finish());
        if (!answer.ok) return { done: 0, failures: { [`status ${answer.status}`]: 1 } };
        const state = CreateTransferResponse.decode(answer.message).transfer?.state;
        return state === TransferState.SUCCEEDED ? { done: 1 } : { done: 0, failures: { [`state ${state}`]: 1 } };
      },
    });
  } finally {
    calls.close();
  }
}

export async function reads({ target, call, concurrency }: ReadJob, measure: Measure): Promise<LoopResult> {
  const calls = await openCalls(target.address, target.tls);
  const { sessions } = target;
  const message = call === 'balance'
    ? GetAccountRequest.encode(GetAccountRequest.fromPartial({})).finish()
    : ListEntriesRequest.encode(ListEntriesRequest.fromPartial({ pageSize: HISTORY_PAGE_SIZE })).finish();
  try {
    return await measure({
      workers: concurrency,
      async step(worker): Promise<StepResult> {
        const answer = await calls.call(READ_PATHS[call], sessions[worker % sessions.length]!.token, message);
        return answer.ok ? { done: 1 } : { done: 0, failures: { [`status ${answer.status}`]: 1 } };
      },
    });
  } finally {
    calls.close();
  }
}
