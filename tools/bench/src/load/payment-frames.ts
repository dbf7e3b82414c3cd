// Framed requests to pay that differ in their payments' ids and payees alone: all else is encoded once.

import { BatchCreateTransfersRequest, CreateTransferRequest } from '@strife/stubs/gateway';
import type { DeepPartial } from '@strife/stubs/gateway';
import { FRAME_HEADER_BYTES, frame, writeFrameHeader } from './http2-calls.ts';

export interface FramedPayment {
  /** A UUID. */
  readonly id: string;
  /** The payee's, at the bank of the template; in ASCII. */
  readonly account: string;
}

export interface PaymentFrames {
  /** CreateTransfer. */
  single(payment: FramedPayment): Buffer;
  /** BatchCreateTransfers. */
  batch(payments: readonly FramedPayment[]): Buffer;
}

interface Template {
  readonly bytes: Uint8Array;
  readonly idAt: number;
  readonly accountAt: number;
}

const ANY_ID = 'I'.repeat(36);

/** @param bank The payees'. */
export function paymentFrames(bank: string, terms: DeepPartial<CreateTransferRequest>): PaymentFrames {
  const singles = templatesOf(bank, (payment) => frame(CreateTransferRequest.encode(CreateTransferRequest.fromPartial({ ...terms, ...payment })).finish()));
  // A message with several items is the messages with one each, one after the other.
  const items = templatesOf(bank, (payment) => BatchCreateTransfersRequest.encode(BatchCreateTransfersRequest.fromPartial({ items: [{ ...terms, ...payment }] })).finish());
  return {
    single(payment) {
      const template = singles(payment);
      const framed = Buffer.allocUnsafe(template.bytes.length);
      fill(template, payment, framed, 0);
      return framed;
    },
    batch(payments) {
      const length = payments.reduce((sum, payment) => sum + items(payment).bytes.length, 0);
      const framed = Buffer.allocUnsafe(FRAME_HEADER_BYTES + length);
      writeFrameHeader(framed, length);
      payments.reduce((at, payment) => fill(items(payment), payment, framed, at), FRAME_HEADER_BYTES);
      return framed;
    },
  };
}

/** By the length of the account, which stands in the bytes before it. */
function templatesOf(bank: string, encode: (payment: DeepPartial<CreateTransferRequest>) => Uint8Array): (payment: FramedPayment) => Template {
  const templates: Template[] = [];
  function templateFor(length: number): Template {
    const account = 'A'.repeat(length);
    const bytes = Buffer.from(encode({ id: ANY_ID, to: { bank, account } }));
    return { bytes, idAt: bytes.indexOf(ANY_ID), accountAt: bytes.indexOf(account) };
  }
  return ({ account: { length } }) => (templates[length] ??= templateFor(length));
}

/** Returns where the next one goes. */
function fill({ bytes, idAt, accountAt }: Template, { id, account }: FramedPayment, into: Buffer, at: number): number {
  into.set(bytes, at);
  into.write(id, at + idAt, 'latin1');
  into.write(account, at + accountAt, 'latin1');
  return at + bytes.length;
}
