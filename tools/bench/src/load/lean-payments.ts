// Payments from the lean generator, under ids of their own: one RPC a payment, or many payments an RPC.

import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { newTransferId } from '@strife/sdk';
import { CreateTransferResponse, TransferServiceDefinition, WaitFor } from '@strife/stubs/gateway';
import { TransferState } from '@strife/stubs/type';
import { openCalls, type Answer } from './http2-calls.ts';
import type { LeanBatchJob, PaymentTerms, UnaryJob } from './job.ts';
import type { Measure } from './load-main.ts';
import type { LoopResult, StepResult } from './measure-loop.ts';
import { paymentFrames, type FramedPayment, type PaymentFrames } from './payment-frames.ts';
import { anyPayee, tally } from './payments.ts';

const CREATE_PATH = `/${TransferServiceDefinition.fullName}/CreateTransfer`;
const BATCH_PATH = `/${TransferServiceDefinition.fullName}/BatchCreateTransfers`;

export async function unaryPayments({ concurrency, perSecond, ...terms }: UnaryJob, measure: Measure): Promise<LoopResult> {
  const { target, payees } = terms;
  const calls = await openCalls(target.address, target.tls);
  const frames = framesOf(terms);
  const pays = target.sessions.map(({ token }) => calls.to(CREATE_PATH, token));
  try {
    return await measure({
      workers: concurrency,
      perSecond,
      step: (worker) => pays[worker % pays.length]!(frames.single({ id: newTransferId(), account: anyPayee(payees) })).then(paid),
    });
  } finally {
    calls.close();
  }
}

export async function leanBatches({ callers, batchItems, ...terms }: LeanBatchJob, measure: Measure): Promise<LoopResult> {
  const { target, payees } = terms;
  const calls = await openCalls(target.address, target.tls);
  const frames = framesOf(terms);
  const payers = target.sessions.map(({ token, account }) => ({ pay: calls.to(BATCH_PATH, token), account }));
  try {
    return await measure({
      workers: callers,
      step(worker) {
        const { pay, account: payer } = payers[worker % payers.length]!;
        const payments = Array.from({ length: batchItems }, (): FramedPayment => ({ id: newTransferId(), account: anyPayee(payees, payer) }));
        return pay(frames.batch(payments)).then((answer) => allPaid(answer, batchItems));
      },
    });
  } finally {
    calls.close();
  }
}

function framesOf({ payees, wait }: PaymentTerms): PaymentFrames {
  const waitFor = wait === 'decided' ? WaitFor.DECIDED : WaitFor.SETTLED;
  return paymentFrames(payees.bank, { amount: { currency: 'EUR', minorUnits: 1n }, waitFor, earlierSendsAnswered: true });
}

/** @param items What the call was about. */
export function answered(answer: Answer, items = 1): StepResult {
  return answer.ok ? { done: items } : { done: 0, failures: { [`status ${answer.status}`]: items } };
}

function paid(answer: Answer): StepResult {
  if (!answer.ok) return answered(answer);
  const state = CreateTransferResponse.decode(answer.message).transfer?.state;
  return state === TransferState.SUCCEEDED ? { done: 1 } : { done: 0, failures: { [`state ${state}`]: 1 } };
}

function allPaid(answer: Answer, items: number): StepResult {
  if (!answer.ok) return answered(answer, items);
  const states = statesIn(answer.message);
  const failed = states.filter((state) => state !== TransferState.SUCCEEDED);
  return { done: states.length - failed.length, failures: tally(failed.map((state) => (state === undefined ? 'failure' : `state ${state}`))) };
}

const RESULTS = 1;
const TRANSFER = 1;
const STATE = 6;

/**
 * Of a BatchCreateTransfersResponse: the state of each transfer in it, undefined where there is a failure in place of a transfer. All else is
 * passed over, so that nothing is made of it.
 */
export function statesIn(message: Uint8Array): (TransferState | undefined)[] {
  const reader = new BinaryReader(message);
  const states: (TransferState | undefined)[] = [];
  eachField(reader, reader.len, RESULTS, (resultEnd) => {
    let state: TransferState | undefined;
    eachField(reader, resultEnd, TRANSFER, (transferEnd) => {
      state = TransferState.UNSPECIFIED;
      while (reader.pos < transferEnd) {
        const [field, type] = reader.tag();
        if (field === STATE && type === WireType.Varint) state = reader.int32() as TransferState;
        else reader.skip(type, field);
      }
    });
    states.push(state);
  });
  return states;
}

/** Up to `end`: hands the end of each message in the field to `read`, which reads it whole. */
function eachField(reader: BinaryReader, end: number, field: number, read: (end: number) => void): void {
  while (reader.pos < end) {
    const [number, type] = reader.tag();
    if (number === field && type === WireType.LengthDelimited) read(reader.uint32() + reader.pos);
    else reader.skip(type, number);
  }
}
