// Framed CreateTransfer requests that differ in their id and payee alone: all else is encoded once.

import { CreateTransferRequest } from '@strife/stubs/gateway';
import type { DeepPartial } from '@strife/stubs/gateway';
import { frame } from './http2-calls.ts';

/** Fills a request in: a UUID, and a payee's account at the bank of the template, in ASCII. */
export type PaymentFrame = (id: string, account: string) => Buffer;

interface Template {
  readonly framed: Buffer;
  readonly idAt: number;
  readonly accountAt: number;
}

const ANY_ID = 'I'.repeat(36);

/** @param bank The payee's. */
export function paymentFrames(bank: string, request: DeepPartial<CreateTransferRequest>): PaymentFrame {
  /** By the length of the account, which stands in the bytes before it. */
  const templates: Template[] = [];

  function templateFor(accountLength: number): Template {
    const account = 'A'.repeat(accountLength);
    const framed = frame(CreateTransferRequest.encode(CreateTransferRequest.fromPartial({ ...request, id: ANY_ID, to: { bank, account } })).finish());
    return { framed, idAt: framed.indexOf(ANY_ID), accountAt: framed.indexOf(account) };
  }

  return (id, account) => {
    const { framed, idAt, accountAt } = (templates[account.length] ??= templateFor(account.length));
    const filled = Buffer.from(framed);
    filled.write(id, idAt, 'latin1');
    filled.write(account, accountAt, 'latin1');
    return filled;
  };
}
