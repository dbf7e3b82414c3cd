// Payments from the lean generator, under ids of their own: one RPC a payment, or many payments an RPC.

import { BinaryReader } from '@bufbuild/protobuf/wire';
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
  const outcomes = outcomesIn(answer.message);
  const failed = outcomes.filter((outcome) => outcome !== TransferState.SUCCEEDED);
  const classes = failed.map((outcome) => (typeof outcome === 'string' ? outcome : `state ${outcome}`));
  const missing = Array.from({ length: items - outcomes.length }, () => 'MISSING');
  return { done: outcomes.length - failed.length, failures: tally([...classes, ...missing]) };
}

const FIELD = { results: 1, transfer: 1, failure: 2, state: 6, reason: 3 } as const;

/**
 * Of a BatchCreateTransfersResponse: the state of each transfer in it, or the reason of a failure that is in its place. All else is passed
 * over, so that nothing is made of it.
 */
export function outcomesIn(message: Uint8Array): (TransferState | string)[] {
  const reader = new BinaryReader(message);
  const outcomes: (TransferState | string)[] = [];
  eachField(reader, reader.len, (field) => {
    if (field !== FIELD.results) return false;
    let outcome: TransferState | string = 'NOTHING';
    eachField(reader, endOf(reader), (kind) => {
      if (kind !== FIELD.transfer && kind !== FIELD.failure) return false;
      outcome = kind === FIELD.transfer ? TransferState.UNSPECIFIED : '';
      eachField(reader, endOf(reader), (inner) => {
        if (inner !== (kind === FIELD.transfer ? FIELD.state : FIELD.reason)) return false;
        outcome = kind === FIELD.transfer ? (reader.int32() as TransferState) : reader.string();
        return true;
      });
      return true;
    });
    outcomes.push(outcome);
    return true;
  });
  return outcomes;
}

/** Up to `end`: hands the number of each field to `read`, which reads the field whole, or leaves it alone and returns false. */
function eachField(reader: BinaryReader, end: number, read: (field: number) => boolean): void {
  while (reader.pos < end) {
    const [field, type] = reader.tag();
    if (!read(field)) reader.skip(type, field);
  }
}

/** Of the message that begins here. */
function endOf(reader: BinaryReader): number {
  return reader.uint32() + reader.pos;
}
