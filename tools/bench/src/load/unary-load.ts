// Loads of single calls from the lean generator: payments under ids of their own, and reads.

import { newTransferId } from '@strife/sdk';
import {
  AccountServiceDefinition, CreateTransferResponse, GetAccountRequest, ListEntriesRequest, TransferServiceDefinition, WaitFor,
} from '@strife/stubs/gateway';
import { TransferState } from '@strife/stubs/type';
import { frame, openCalls, type Answer } from './http2-calls.ts';
import type { ReadJob, UnaryJob } from './job.ts';
import type { Measure } from './load-main.ts';
import type { LoopResult, StepResult } from './measure-loop.ts';
import { paymentFrames } from './payment-frames.ts';
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
  const frameOf = paymentFrames(payees.bank, { amount: { currency: 'EUR', minorUnits: 1n }, waitFor, earlierSendsAnswered: true });
  const pays = target.sessions.map(({ token }) => calls.to(CREATE_PATH, token));
  try {
    return await measure({
      workers: concurrency,
      perSecond,
      step: (worker) => pays[worker % pays.length]!(frameOf(newTransferId(), anyPayee(payees))).then(paid),
    });
  } finally {
    calls.close();
  }
}

export async function reads({ target, call, concurrency }: ReadJob, measure: Measure): Promise<LoopResult> {
  const calls = await openCalls(target.address, target.tls);
  const message = frame(call === 'balance'
    ? GetAccountRequest.encode(GetAccountRequest.fromPartial({})).finish()
    : ListEntriesRequest.encode(ListEntriesRequest.fromPartial({ pageSize: HISTORY_PAGE_SIZE })).finish());
  const asks = target.sessions.map(({ token }) => calls.to(READ_PATHS[call], token));
  try {
    return await measure({
      workers: concurrency,
      step: (worker) => asks[worker % asks.length]!(message).then(answered),
    });
  } finally {
    calls.close();
  }
}

const DONE: StepResult = { done: 1 };

function answered(answer: Answer): StepResult {
  return answer.ok ? DONE : { done: 0, failures: { [`status ${answer.status}`]: 1 } };
}

function paid(answer: Answer): StepResult {
  if (!answer.ok) return answered(answer);
  const state = CreateTransferResponse.decode(answer.message).transfer?.state;
  return state === TransferState.SUCCEEDED ? DONE : { done: 0, failures: { [`state ${state}`]: 1 } };
}
