// A payment's frame is what the message would be encoded to.
import { expect, it } from '@jest/globals';
import { newTransferId } from '@strife/sdk';
import { BatchCreateTransfersRequest, CreateTransferRequest, WaitFor } from '@strife/stubs/gateway';
import { frame } from './http2-calls.ts';
import { paymentFrames } from './payment-frames.ts';

const terms = { amount: { currency: 'EUR', minorUnits: 1n }, waitFor: WaitFor.DECIDED, earlierSendsAnswered: true };
const accounts = ['u1', 'u23', 'u1000000', 'u7', 'u'.repeat(63)];
const paymentTo = (account: string) => ({ id: newTransferId(), account });
const whole = ({ id, account }: ReturnType<typeof paymentTo>) => CreateTransferRequest.fromPartial({ ...terms, id, to: { bank: 'beta', account } });

it.each(accounts)('is filled in as it would be encoded, for %s', (account) => {
  const frames = paymentFrames('beta', terms);
  for (const payment of [paymentTo(account), paymentTo(account)]) {
    expect(frames.single(payment)).toEqual(frame(CreateTransferRequest.encode(whole(payment)).finish()));
  }
});

it('holds many payments as they would be encoded', () => {
  const frames = paymentFrames('beta', terms);
  for (const payments of [[], accounts.map(paymentTo), accounts.map(paymentTo)]) {
    expect(frames.batch(payments)).toEqual(frame(BatchCreateTransfersRequest.encode({ items: payments.map(whole) }).finish()));
  }
});
